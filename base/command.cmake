# installed_program(NAME COMPONENT): the program NAME is installed, with the man page and the bash completion
# that it prints from its own table (base/command.h). In the build they stand in share/ as they will be
# installed, so that `MANPATH=build/dev/share/man man NAME` shows the page.
include(GNUInstallDirs)

# printed_by(NAME OPTION FILE): FILE is what NAME prints for OPTION. A program that fails leaves none.
function(printed_by name option file)
    get_filename_component(folder ${file} DIRECTORY)
    add_custom_command(
        OUTPUT ${file}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
        COMMAND ${name} ${option} > ${file}.new
        COMMAND ${CMAKE_COMMAND} -E rename ${file}.new ${file}
        DEPENDS ${name}
        VERBATIM)
endfunction()

function(installed_program name component)
    set(page ${CMAKE_BINARY_DIR}/share/man/man1/${name}.1)
    set(completion ${CMAKE_BINARY_DIR}/share/bash-completion/completions/${name})
    printed_by(${name} --man ${page})
    printed_by(${name} --bash-completion ${completion})
    add_custom_target(${name}_documents ALL DEPENDS ${page} ${completion})

    install(TARGETS ${name} RUNTIME COMPONENT ${component})
    install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT ${component})
    install(FILES ${completion}
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT ${component})
endfunction()
