# bridge/service/: what decides.
unit_test(answer service_core)
unit_test(patch service_core)
unit_test(show service_core)
