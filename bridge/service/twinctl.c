/* twinctl: what a back end does with module twins, from the command line. */
#include "bridge/service/verb.h"

#include <curl/curl.h>

#include <stdio.h>
#include <sysexits.h>

int main(int argc, char **argv)
{
    struct invocation call;
    int exit_code;

    if (verb_parse(&call, &exit_code, argc, argv) != 0)
        return exit_code;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return verb_fail(EX_SOFTWARE, "libcurl does not start");
    exit_code = call.verb->run(&call);
    curl_global_cleanup();
    /* A result that did not reach its reader (a full disk behind '>') is not done. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && exit_code == EX_OK)
        return verb_fail(EX_SOFTWARE, "cannot write to standard output");
    return exit_code;
}
