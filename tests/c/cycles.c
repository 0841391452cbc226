/* Opens, reports and closes again and again: cycles SCAN PACKAGE COUNT. Prints, after the 20th and the last cycle, the
 * resident memory and the memory that is allocated (0 where that cannot be asked), in KiB. With a fourth argument one
 * reporter makes all reports. */
#include <diffvp.h>
#include <stdio.h>
#include <stdlib.h>
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
#include <malloc.h>
#define HAS_MALLINFO2
#endif

#define OK(call)                                                                         \
    do {                                                                                 \
        if ((call) != DIFFVP_STATUS_OK) {                                                \
            const char *message = "";                                                    \
            diffvp_error_message(error, &message);                                       \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, message);      \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

static diffvp_error *error = NULL;

static long resident_kib(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file) {
        if (fscanf(file, "%ld %ld", &pages, &resident) != 2)
            resident = 0;
        fclose(file);
    }
    return resident * 4;
}

static long allocated_kib(void)
{
#ifdef HAS_MALLINFO2
    const struct mallinfo2 info = mallinfo2();
    return (long)((info.uordblks + info.hblkhd) / 1024);
#else
    return 0;
#endif
}

int main(int argc, char **argv)
{
    diffvp_options *options = NULL;
    diffvp_reporter *shared = NULL;
    int count = argc > 3 ? atoi(argv[3]) : 0;
    if (argc < 4)
        return 2;
    OK(diffvp_options_new(&options, &error));
    OK(diffvp_options_set_threads(options, 1, &error));
    OK(diffvp_options_set_max_new_tokens(options, 8, &error));
    if (argc > 4)
        OK(diffvp_reporter_open(argv[2], options, &shared, &error));
    for (int i = 1; i <= count; i++) {
        diffvp_reporter *reporter = shared;
        diffvp_scan *scan = NULL;
        diffvp_report *report = NULL;
        diffvp_cancel *cancel = NULL;
        diffvp_string *id = NULL;
        const char *json = NULL;
        size_t dims[3] = {0, 0, 0};
        if (!shared)
            OK(diffvp_reporter_open(argv[2], options, &reporter, &error));
        OK(diffvp_reporter_model_id(reporter, &id, &error));
        OK(diffvp_scan_open(argv[1], NULL, &scan, &error));
        OK(diffvp_cancel_new(&cancel, &error));
        OK(diffvp_reporter_report(reporter, scan, options, cancel, &report, &error));
        OK(diffvp_report_json(report, &json, NULL, &error));
        OK(diffvp_report_map_dims(report, dims, &error));
        float *map = malloc(dims[0] * dims[1] * dims[2] * sizeof *map);
        OK(diffvp_report_map(report, map, dims[0] * dims[1] * dims[2], &error));
        free(map);
        /* A call that fails, with its error. */
        if (diffvp_scan_open("/nowhere", NULL, &scan, &error) != DIFFVP_STATUS_NOT_FOUND)
            return 1;
        OK(diffvp_error_free(error));
        error = NULL;
        OK(diffvp_string_free(id));
        OK(diffvp_report_free(report));
        OK(diffvp_cancel_free(cancel));
        OK(diffvp_scan_free(scan));
        if (!shared)
            OK(diffvp_reporter_free(reporter));
        if (i == 20 || i == count)
            printf("%ld %ld\n", resident_kib(), allocated_kib());
    }
    diffvp_reporter_free(shared);
    OK(diffvp_options_free(options));
    return 0;
}
