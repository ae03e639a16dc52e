# Memory that runs out at every place, one after the other: memory_test(NAME LIBRARY...) builds
# test_NAME_memory.c with every allocation of ours, of cJSON and of OpenSSL in the test's hands.
function(memory_test name)
    unit_test(${name}_memory ${ARGN} PkgConfig::CRYPTO PkgConfig::CJSON)
    target_sources(test_${name}_memory PRIVATE memory_fault.c)
    target_link_options(test_${name}_memory PRIVATE
        -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup)
endfunction()

memory_test(buf base)
memory_test(readers bridge_core modbus_core)
memory_test(sas bridge_core)
memory_test(desired bridge_core)
memory_test(report bridge_core)
memory_test(document bridge_core)
memory_test(answers service_core)
memory_test(twin_change service_core)
memory_test(hubsim_messages hubsim_core)
memory_test(hubsim_query hubsim_core)
memory_test(hubsim_entra_jwt hubsim_core)
memory_test(hubsim_client hubsim_core)

# The session's and the module's fixtures allocate too: only what happens inside the calls counts.
memory_test(dialogue bridge_core)
target_sources(test_dialogue_memory PRIVATE session_fixture.c)
memory_test(module bridge_core)
target_sources(test_module_memory PRIVATE module_fixture.c)
foreach(call module_tick module_sample module_read_done module_write_done module_device_state
        module_committed session_link_up session_link_bytes session_link_down)
    target_link_options(test_module_memory PRIVATE -Wl,--wrap=${call})
endforeach()
