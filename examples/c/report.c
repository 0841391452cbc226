/* A report, waited for: report SCAN PACKAGE
 *
 *   cc report.c $(pkg-config --cflags --libs diffvp) -o report
 */
#include <diffvp.h>
#include <stdio.h>

/* Prints why a call failed, frees the error, and gives its status. */
static int failed(int32_t status, diffvp_error *error)
{
    const char *message = "";
    diffvp_error_message(error, &message);
    fprintf(stderr, "%s: %s\n", diffvp_status_name(status), message);
    diffvp_error_free(error);
    return 1;
}

static int print_report(const diffvp_report *report)
{
    diffvp_error *error = NULL;
    size_t count = 0;
    int32_t status = diffvp_report_section_count(report, &count, &error);
    for (size_t i = 0; status == DIFFVP_STATUS_OK && i < count; i++) {
        const char *heading = NULL;
        const char *text = NULL;
        status = diffvp_report_section(report, i, NULL, &heading, &text, &error);
        if (status == DIFFVP_STATUS_OK)
            printf("%s: %s\n", heading, text);
    }
    if (status == DIFFVP_STATUS_OK)
        status = diffvp_report_finding_count(report, &count, &error);
    for (size_t i = 0; status == DIFFVP_STATUS_OK && i < count; i++) {
        const char *name = NULL;
        float probability = 0.0f;
        int32_t present = 0;
        status = diffvp_report_finding(report, i, &name, &probability, NULL, &present, &error);
        if (status == DIFFVP_STATUS_OK && present)
            printf("finding: %s (%.0f %%)\n", name, 100.0 * probability);
    }
    if (status == DIFFVP_STATUS_OK)
        status = diffvp_report_warning_count(report, &count, &error);
    for (size_t i = 0; status == DIFFVP_STATUS_OK && i < count; i++) {
        const char *message = NULL;
        status = diffvp_report_warning(report, i, NULL, &message, &error);
        if (status == DIFFVP_STATUS_OK)
            printf("note: %s\n", message);
    }
    if (status == DIFFVP_STATUS_OK) {
        const char *statement = NULL;
        status = diffvp_report_intended_use(report, NULL, &statement, &error);
        if (status == DIFFVP_STATUS_OK)
            printf("%s\n", statement);
    }
    return status == DIFFVP_STATUS_OK ? 0 : failed(status, error);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s SCAN PACKAGE\n", argv[0]);
        return 2;
    }
    if (diffvp_abi_version() != DIFFVP_ABI_VERSION) {
        fprintf(stderr, "compiled for another libdiffvp than %s\n", diffvp_version());
        return 1;
    }

    diffvp_error *error = NULL;
    diffvp_reporter *reporter = NULL;
    diffvp_scan *scan = NULL;
    diffvp_report *report = NULL;
    int result;

    int32_t status = diffvp_reporter_open(argv[2], NULL, &reporter, &error);
    if (status == DIFFVP_STATUS_OK)
        status = diffvp_scan_open(argv[1], NULL, &scan, &error);
    if (status == DIFFVP_STATUS_OK)
        status = diffvp_reporter_report(reporter, scan, NULL, NULL, &report, &error);
    result = status == DIFFVP_STATUS_OK ? print_report(report) : failed(status, error);

    /* Freeing null does nothing, so there is one way out. */
    diffvp_report_free(report);
    diffvp_scan_free(scan);
    diffvp_reporter_free(reporter);
    return result;
}
