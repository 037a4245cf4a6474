/* What a job runs: built against glibc, as most programs that a CI meets are. It writes its
 * result into the folder it is started in, and says on what it runs. */
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    const char *job = argc > 1 ? argv[1] : "?";
    FILE *result = fopen("result", "wx"); /* "x" is glibc's: not if it is there */
    if (!result || fprintf(result, "%s\n", job) < 0 || fclose(result)) {
        perror("result");
        return EXIT_FAILURE;
    }
    printf("job %s ran on glibc %s\n", job, gnu_get_libc_version());
    return EXIT_SUCCESS;
}
