# bridge/service/: what decides.
unit_test(answer service_core)
unit_test(given service_core)
unit_test(patch service_core)
unit_test(difference service_core)
unit_test(show service_core)
unit_test(show_table service_core)
unit_test(show_value service_core)
unit_test(twin_change service_core)
unit_test(retry service_core)
unit_test(header service_core)
unit_test(token service_core)
unit_test(way service_core)
unit_test(local_endpoint service_core)
unit_test(entra_address service_core)
unit_test(applied service_core)

unit_test(secret_file service_sign_in)

# With a network and a clock of the test's own.
unit_test(exchange service_sign_in)
target_link_options(test_exchange PRIVATE -Wl,--wrap=http_send,--wrap=clock_nanosleep)
unit_test(sign_in service_sign_in)
target_link_options(test_sign_in PRIVATE -Wl,--wrap=http_send)
