unit_test(buf base)
unit_test(backoff base)
unit_test(timestamp base)
unit_test(near base)

# Help, man page and completion are printed from the same two tables that command lines are read against.
unit_test(command base)
unit_test(command_print base)
target_sources(test_command PRIVATE command_fixture.c)
target_sources(test_command_print PRIVATE command_fixture.c)
