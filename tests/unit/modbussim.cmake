# tests/sim/modbussim/: what is asked of it on the wire, and how its values move.
unit_test(request modbussim_core)
unit_test(motion modbussim_core)
unit_test(fault modbussim_core)
