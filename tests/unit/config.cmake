unit_test(value config)
unit_test(duration config)
unit_test(text config)
unit_test(names config)
unit_test(locate config)
unit_test(kinds config)
unit_test(keys config)
unit_test(config config)
unit_test(mistakes config)

# Every allocation of config_load fails once: ours through the linker, cJSON's through its hooks.
unit_test(config_memory config)
target_link_options(test_config_memory PRIVATE
    -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup)

# What ships as an example is loaded with the real adapters.
unit_test(examples adapters)
target_compile_definitions(test_examples PRIVATE EXAMPLES="${CMAKE_SOURCE_DIR}/config/examples")
