# The local hub. Tests of its upper half share a hub on a state in memory (test_hubsim_fixture.h).
foreach(name stamp json address certificate auth topics mqtt_server identity twin
        registry access hub client rest exchange faults client_output
        bag messages methods hub_messages client_publish client_push client_queue client_subscribe
        query rest_query rest_bulk rest_method rest_message entra entra_jwt dump twin_limits)
    unit_test(hubsim_${name} hubsim_core)
endforeach()
