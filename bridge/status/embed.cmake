# cmake -DPAGE=page.html -DOUT=page.c -P embed.cmake
#
# Turns the page into a C array, and the hashes of its script and style into the Content-Security-Policy
# that lets exactly these two run.
function(base64_of_hex hex out)
    set(alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    string(LENGTH "${hex}" digits)
    set(text "")
    foreach(start RANGE 0 ${digits} 6) # 3 bytes are 6 digits here and 4 characters there
        string(SUBSTRING "${hex}" ${start} 6 group)
        string(LENGTH "${group}" size)
        if(size EQUAL 0)
            break()
        endif()
        string(SUBSTRING "${group}0000" 0 6 padded)
        math(EXPR number "0x${padded}")
        math(EXPR characters "${size} / 2 + 1")
        foreach(index RANGE 0 3)
            if(index LESS characters)
                math(EXPR place "(${number} >> (18 - 6 * ${index})) & 63")
                string(SUBSTRING "${alphabet}" ${place} 1 character)
            else()
                set(character "=")
            endif()
            string(APPEND text "${character}")
        endforeach()
    endforeach()
    set(${out} "${text}" PARENT_SCOPE)
endfunction()

# The hash of what stands between <tag> and </tag>, as a policy writes it.
function(hash_of html tag out)
    string(FIND "${html}" "<${tag}>" start)
    string(FIND "${html}" "</${tag}>" end)
    string(LENGTH "<${tag}>" skip)
    math(EXPR start "${start} + ${skip}")
    math(EXPR length "${end} - ${start}")
    if(length LESS 0)
        message(FATAL_ERROR "${PAGE} has no <${tag}>")
    endif()
    string(SUBSTRING "${html}" ${start} ${length} content)
    string(SHA256 hex "${content}")
    base64_of_hex("${hex}" base64)
    set(${out} "'sha256-${base64}'" PARENT_SCOPE)
endfunction()

file(READ "${PAGE}" html)
hash_of("${html}" script script)
hash_of("${html}" style style)
set(policy "default-src 'none'; script-src ${script}; style-src ${style}; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")

file(READ "${PAGE}" hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")

file(WRITE "${OUT}" "/* Made from page.html by embed.cmake; change that one. */
#include \"bridge/status/page.h\"

const unsigned char status_page[] = {
${bytes}
};
const size_t status_page_length = sizeof status_page;
const char status_page_policy[] = \"${policy}\";
")
