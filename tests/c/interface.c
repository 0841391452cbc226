/* The promises of diffvp.h as a C program sees them: interface SCAN PACKAGE */
#define _POSIX_C_SOURCE 200809L
#include <diffvp.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);         \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

/* Takes the status of a failing call, and checks that its error says the same. */
static int32_t told(int32_t status, diffvp_error **error)
{
    int32_t inside = 0;
    const char *message = NULL;
    CHECK(status != DIFFVP_STATUS_OK && *error != NULL);
    CHECK(diffvp_error_status(*error, &inside) == DIFFVP_STATUS_OK && inside == status);
    CHECK(diffvp_error_message(*error, &message) == DIFFVP_STATUS_OK && strlen(message) > 3);
    CHECK(strcmp(diffvp_status_name(status), "unknown") != 0);
    CHECK(diffvp_error_free(*error) == DIFFVP_STATUS_OK);
    CHECK(diffvp_error_free(*error) == DIFFVP_STATUS_STALE_HANDLE);
    CHECK(diffvp_error_message(*error, &message) == DIFFVP_STATUS_STALE_HANDLE);
    *error = NULL;
    return status;
}

static diffvp_error *error = NULL;
#define OK(call) CHECK((call) == DIFFVP_STATUS_OK && error == NULL)
#define FAILS(call, expected) CHECK(told((call), &error) == (expected))

static void misuse_of_handles(const char *path)
{
    diffvp_scan *scan = NULL, *untouched = (diffvp_scan *)&error;
    diffvp_options *options = NULL;
    size_t dims[3];
    uint64_t local = 0;

    OK(diffvp_scan_open(path, NULL, &scan, &error));
    OK(diffvp_scan_dims(scan, dims, &error));
    CHECK(dims[0] == 48 && dims[1] == 48 && dims[2] == 32);
    OK(diffvp_options_new(&options, &error));

    FAILS(diffvp_scan_dims((const diffvp_scan *)options, dims, &error), DIFFVP_STATUS_WRONG_KIND);
    FAILS(diffvp_scan_dims((const diffvp_scan *)&local, dims, &error), DIFFVP_STATUS_INVALID_HANDLE);
    FAILS(diffvp_scan_dims((const diffvp_scan *)(uintptr_t)0xdeadbeef, dims, &error), DIFFVP_STATUS_INVALID_HANDLE);
    FAILS(diffvp_scan_dims(NULL, dims, &error), DIFFVP_STATUS_NULL_ARGUMENT);
    FAILS(diffvp_scan_dims(scan, NULL, &error), DIFFVP_STATUS_NULL_ARGUMENT);
    CHECK(diffvp_options_free((diffvp_options *)scan) == DIFFVP_STATUS_WRONG_KIND);
    OK(diffvp_scan_dims(scan, dims, &error));

    CHECK(diffvp_scan_free(scan) == DIFFVP_STATUS_OK);
    CHECK(diffvp_scan_free(scan) == DIFFVP_STATUS_STALE_HANDLE);
    FAILS(diffvp_scan_dims(scan, dims, &error), DIFFVP_STATUS_STALE_HANDLE);
    CHECK(diffvp_scan_free(NULL) == DIFFVP_STATUS_OK);

    /* A failing call writes to its error only, and null is an answer to where that should go. */
    FAILS(diffvp_scan_open("/nowhere", options, &untouched, &error), DIFFVP_STATUS_NOT_FOUND);
    CHECK(untouched == (diffvp_scan *)&error);
    CHECK(diffvp_scan_open("/nowhere", NULL, &untouched, NULL) == DIFFVP_STATUS_NOT_FOUND);
    FAILS(diffvp_scan_open("\xff\xfe", NULL, &untouched, &error), DIFFVP_STATUS_INVALID_UTF8);
    FAILS(diffvp_scan_open("", NULL, &untouched, &error), DIFFVP_STATUS_NOT_FOUND);
    FAILS(diffvp_scan_open(NULL, NULL, &untouched, &error), DIFFVP_STATUS_NULL_ARGUMENT);
    FAILS(diffvp_options_set_device(options, 77, 0, &error), DIFFVP_STATUS_INVALID_ARGUMENT);
    FAILS(diffvp_options_set_device(options, DIFFVP_DEVICE_CPU, 1, &error), DIFFVP_STATUS_INVALID_ARGUMENT);
    FAILS(diffvp_options_set_gpu(options, 8, &error), DIFFVP_STATUS_INVALID_ARGUMENT);
    OK(diffvp_options_set_gpu(options, DIFFVP_GPU_TF32 | DIFFVP_GPU_TUNE | DIFFVP_GPU_CPU_OPERATORS, &error));
    OK(diffvp_options_set_gpu(options, 0, &error));
    FAILS(diffvp_options_set_sampling_random(options, NAN, 0, 1.0f, &error), DIFFVP_STATUS_INVALID_OPTION);
    FAILS(diffvp_options_set_reference_id(options, NULL, &error), DIFFVP_STATUS_NULL_ARGUMENT);
    CHECK(diffvp_options_free(options) == DIFFVP_STATUS_OK);
}

static void voxels_from_memory(void)
{
    enum { NX = 4, NY = 3, NZ = 2, COUNT = NX * NY * NZ };
    const size_t dims[3] = {NX, NY, NZ}, none[3] = {0, NY, NZ}, huge[3] = {SIZE_MAX, SIZE_MAX, 2};
    const double spacing[3] = {0.7, 0.8, 2.5}, bad_spacing[3] = {0.7, -0.8, 2.5}, origin[3] = {-1, -2, -3};
    const double feet_first[9] = {1, 0, 0, 0, -1, 0, 0, 0, -1}, sheared[9] = {1, 1, 0, 0, 1, 0, 0, 0, 1};
    int16_t shorts[COUNT];
    float floats[COUNT];
    diffvp_options *options = NULL;
    diffvp_scan *scan = NULL;
    const float *voxels = NULL;
    size_t count = 0, found[3];
    double spacing_out[3], direction_out[9], origin_out[3];

    for (int i = 0; i < COUNT; i++) {
        shorts[i] = (int16_t)(100 * i - 1000);
        floats[i] = (float)shorts[i] + 0.25f;
    }
    OK(diffvp_scan_from_hu_i16(shorts, COUNT, dims, spacing, feet_first, origin, NULL, &scan, &error));
    OK(diffvp_scan_voxels(scan, &voxels, &count, &error));
    CHECK(count == COUNT && voxels[0] == -1000.0f && voxels[COUNT - 1] == (float)shorts[COUNT - 1]);
    OK(diffvp_scan_dims(scan, found, &error));
    OK(diffvp_scan_grid(scan, spacing_out, direction_out, origin_out, &error));
    CHECK(memcmp(found, dims, sizeof dims) == 0 && memcmp(spacing_out, spacing, sizeof spacing) == 0);
    CHECK(memcmp(direction_out, feet_first, sizeof feet_first) == 0 && memcmp(origin_out, origin, sizeof origin) == 0);
    OK(diffvp_scan_grid(scan, NULL, NULL, NULL, &error));
    CHECK(diffvp_scan_free(scan) == DIFFVP_STATUS_OK);
    OK(diffvp_scan_from_hu_f32(floats, COUNT, dims, spacing, NULL, NULL, NULL, &scan, &error));
    OK(diffvp_scan_voxels(scan, &voxels, NULL, &error));
    CHECK(voxels[1] == -899.75f);
    CHECK(diffvp_scan_free(scan) == DIFFVP_STATUS_OK);

    FAILS(diffvp_scan_from_hu_i16(shorts, COUNT - 1, dims, spacing, NULL, NULL, NULL, &scan, &error), DIFFVP_STATUS_INVALID_SIZE);
    FAILS(diffvp_scan_from_hu_i16(shorts, 0, none, spacing, NULL, NULL, NULL, &scan, &error), DIFFVP_STATUS_INVALID_SIZE);
    FAILS(diffvp_scan_from_hu_i16(shorts, SIZE_MAX - 1, huge, spacing, NULL, NULL, NULL, &scan, &error), DIFFVP_STATUS_INVALID_SIZE);
    FAILS(diffvp_scan_from_hu_i16(NULL, COUNT, dims, spacing, NULL, NULL, NULL, &scan, &error), DIFFVP_STATUS_NULL_ARGUMENT);
    FAILS(diffvp_scan_from_hu_i16(shorts, COUNT, NULL, spacing, NULL, NULL, NULL, &scan, &error), DIFFVP_STATUS_NULL_ARGUMENT);
    FAILS(diffvp_scan_from_hu_i16(shorts, COUNT, dims, NULL, NULL, NULL, NULL, &scan, &error), DIFFVP_STATUS_NULL_ARGUMENT);
    FAILS(diffvp_scan_from_hu_i16(shorts, COUNT, dims, bad_spacing, NULL, NULL, NULL, &scan, &error), DIFFVP_STATUS_GEOMETRY);
    FAILS(diffvp_scan_from_hu_i16(shorts, COUNT, dims, spacing, sheared, NULL, NULL, &scan, &error), DIFFVP_STATUS_GEOMETRY);
    floats[5] = INFINITY;
    FAILS(diffvp_scan_from_hu_f32(floats, COUNT, dims, spacing, NULL, NULL, NULL, &scan, &error), DIFFVP_STATUS_INVALID_VOXELS);
    OK(diffvp_options_new(&options, &error));
    OK(diffvp_options_set_max_voxels(options, COUNT - 1, &error));
    FAILS(diffvp_scan_from_hu_i16(shorts, COUNT, dims, spacing, NULL, NULL, options, &scan, &error), DIFFVP_STATUS_LIMIT_EXCEEDED);
    CHECK(diffvp_options_free(options) == DIFFVP_STATUS_OK);
    FAILS(diffvp_scan_from_dicom(NULL, NULL, 3, NULL, &scan, &error), DIFFVP_STATUS_NULL_ARGUMENT);
    FAILS(diffvp_scan_from_dicom(NULL, NULL, SIZE_MAX / 2, NULL, &scan, &error), DIFFVP_STATUS_INVALID_SIZE);
}

struct heard {
    char text[1 << 16];
    size_t length;
    int pieces, stages, stop_at_stage, stop_at_piece;
    diffvp_reporter *free_this;
};

static int32_t on_text(const char *text, size_t length, void *user_data)
{
    struct heard *heard = user_data;
    CHECK(strlen(text) == length && heard->length + length < sizeof heard->text);
    memcpy(heard->text + heard->length, text, length + 1);
    heard->length += length;
    if (heard->free_this) {
        CHECK(diffvp_reporter_free(heard->free_this) == DIFFVP_STATUS_OK);
        heard->free_this = NULL;
    }
    return ++heard->pieces == heard->stop_at_piece;
}

static int32_t on_progress(int32_t stage, float done, void *user_data)
{
    struct heard *heard = user_data;
    CHECK(stage == heard->stages++ && done >= 0.0f && done < 1.0f);
    return stage == heard->stop_at_stage;
}

static void reports(const char *path, const char *package)
{
    static struct heard heard;
    diffvp_options *options = NULL;
    diffvp_reporter *reporter = NULL;
    diffvp_scan *scan = NULL;
    diffvp_report *report = NULL, *again = NULL;
    diffvp_cancel *cancel = NULL;
    diffvp_string *string = NULL;
    const char *text = NULL, *other = NULL;
    const float *importance = NULL;
    float *map, peak = 0.0f, highest = 0.0f, probability = -1.0f;
    size_t length = 0, count = 0, dims[3];
    double position[3];

    OK(diffvp_options_new(&options, &error));
    OK(diffvp_options_set_threads(options, 1, &error));
    OK(diffvp_options_set_max_new_tokens(options, 24, &error));
    OK(diffvp_reporter_open(package, options, &reporter, &error));
    OK(diffvp_scan_open(path, NULL, &scan, &error));
    OK(diffvp_reporter_device(reporter, &string, &error));
    OK(diffvp_string_text(string, &text, &length, &error));
    CHECK(strcmp(text, "cpu") == 0 && length == 3);
    CHECK(diffvp_string_free(string) == DIFFVP_STATUS_OK && diffvp_string_free(string) == DIFFVP_STATUS_STALE_HANDLE);

    heard.stop_at_stage = -1;
    OK(diffvp_reporter_report_streaming(reporter, scan, options, NULL, on_text, on_progress, &heard, &report, &error));
    OK(diffvp_report_text(report, &text, &length, &error));
    CHECK(heard.stages == 6 && heard.length == length && strcmp(heard.text, text) == 0);
    OK(diffvp_reporter_report(reporter, scan, options, NULL, &again, &error));
    OK(diffvp_report_text(again, &other, NULL, &error));
    CHECK(strcmp(text, other) == 0);
    CHECK(diffvp_report_free(again) == DIFFVP_STATUS_OK);

    OK(diffvp_report_section_count(report, &count, &error));
    CHECK(count > 0);
    FAILS(diffvp_report_section(report, count, NULL, NULL, &text, &error), DIFFVP_STATUS_NO_SUCH_INDEX);
    OK(diffvp_report_finding_count(report, &count, &error));
    CHECK(count == 18);
    OK(diffvp_report_finding(report, count - 1, &text, &probability, NULL, NULL, &error));
    CHECK(probability >= 0.0f && probability <= 1.0f);
    FAILS(diffvp_report_finding(report, SIZE_MAX, &text, NULL, NULL, NULL, &error), DIFFVP_STATUS_NO_SUCH_INDEX);
    OK(diffvp_report_importance(report, &importance, &count, &error));
    CHECK(count == 16 && importance[15] >= 0.0f);
    OK(diffvp_report_json(report, &text, &length, &error));
    CHECK(text[0] == '{' && strlen(text) == length);
    OK(diffvp_report_map_dims(report, dims, &error));
    count = dims[0] * dims[1] * dims[2];
    map = malloc(count * sizeof *map);
    CHECK(map);
    map[0] = -5.0f;
    FAILS(diffvp_report_map(report, map, count - 1, &error), DIFFVP_STATUS_BUFFER_TOO_SMALL);
    CHECK(map[0] == -5.0f);
    OK(diffvp_report_map(report, map, count, &error));
    for (size_t i = 0; i < count; i++)
        highest = map[i] > highest ? map[i] : highest;
    OK(diffvp_report_map_peak(report, &peak, position, &error));
    CHECK(highest > 0.0f && highest <= peak * 1.0001f);
    free(map);

    /* Stopping by a callback, at a stage and at a piece of text. */
    for (int stage = 0; stage < 6; stage++) {
        memset(&heard, 0, sizeof heard);
        heard.stop_at_stage = stage;
        again = NULL;
        FAILS(diffvp_reporter_report_streaming(reporter, scan, options, NULL, on_text, on_progress, &heard, &again, &error), DIFFVP_STATUS_CANCELLED);
        CHECK(heard.stages == stage + 1 && again == NULL);
    }
    memset(&heard, 0, sizeof heard);
    heard.stop_at_piece = 2;
    heard.stop_at_stage = -1;
    FAILS(diffvp_reporter_report_streaming(reporter, scan, options, NULL, on_text, on_progress, &heard, &again, &error), DIFFVP_STATUS_CANCELLED);
    CHECK(heard.pieces == 2);

    OK(diffvp_cancel_new(&cancel, &error));
    OK(diffvp_cancel_trigger(cancel, &error));
    FAILS(diffvp_reporter_report(reporter, scan, options, cancel, &again, &error), DIFFVP_STATUS_CANCELLED);
    CHECK(diffvp_cancel_free(cancel) == DIFFVP_STATUS_OK);
    FAILS(diffvp_reporter_report(reporter, scan, options, cancel, &again, &error), DIFFVP_STATUS_STALE_HANDLE);
    OK(diffvp_options_set_reference_index(options, 99, &error));
    FAILS(diffvp_reporter_report(reporter, scan, options, NULL, &again, &error), DIFFVP_STATUS_INVALID_OPTION);
    OK(diffvp_options_set_reference_seeded(options, &error));
    FAILS(diffvp_reporter_swap(reporter, "/nowhere", &error), DIFFVP_STATUS_NOT_FOUND);

    /* A reporter freed by its own callback finishes the report it is making. */
    memset(&heard, 0, sizeof heard);
    heard.stop_at_stage = -1;
    heard.free_this = reporter;
    OK(diffvp_reporter_report_streaming(reporter, scan, options, NULL, on_text, on_progress, &heard, &again, &error));
    FAILS(diffvp_reporter_report(reporter, scan, options, NULL, &again, &error), DIFFVP_STATUS_STALE_HANDLE);
    CHECK(diffvp_report_free(again) == DIFFVP_STATUS_OK && diffvp_report_free(report) == DIFFVP_STATUS_OK);
    CHECK(diffvp_scan_free(scan) == DIFFVP_STATUS_OK && diffvp_options_free(options) == DIFFVP_STATUS_OK);
}

struct nested {
    diffvp_reporter *reporter;
    const diffvp_scan *scan;
    int32_t expected;
    int calls;
};

/* Asks the reporter that is making a report for another one. */
static int32_t ask_again(int32_t stage, float done, void *user_data)
{
    struct nested *nested = user_data;
    diffvp_report *inner = NULL;
    (void)done;
    if (stage != DIFFVP_STAGE_CONTRAST)
        return 0;
    nested->calls++;
    if (nested->expected == DIFFVP_STATUS_OK) {
        OK(diffvp_reporter_report(nested->reporter, nested->scan, NULL, NULL, &inner, &error));
        CHECK(diffvp_report_free(inner) == DIFFVP_STATUS_OK);
    } else {
        FAILS(diffvp_reporter_report(nested->reporter, nested->scan, NULL, NULL, &inner, &error), nested->expected);
        CHECK(inner == NULL);
    }
    return 0;
}

static void reports_in_callbacks(const char *path, const char *package)
{
    diffvp_options *options = NULL;
    diffvp_scan *scan = NULL;
    OK(diffvp_options_new(&options, &error));
    OK(diffvp_options_set_threads(options, 1, &error));
    OK(diffvp_options_set_max_new_tokens(options, 4, &error));
    OK(diffvp_scan_open(path, NULL, &scan, &error));
    for (uint32_t limit = 0; limit < 3; limit++) {
        diffvp_reporter *reporter = NULL, *other = NULL;
        diffvp_report *report = NULL;
        OK(diffvp_options_set_concurrency(options, limit, &error));
        OK(diffvp_reporter_open(package, options, &reporter, &error));
        OK(diffvp_reporter_open(package, options, &other, &error));
        for (int same = 0; same < 2; same++) {
            int32_t expected = limit && same ? DIFFVP_STATUS_REENTRANT : DIFFVP_STATUS_OK;
            struct nested nested = {same ? reporter : other, scan, expected, 0};
            OK(diffvp_reporter_report_streaming(reporter, scan, options, NULL, NULL, ask_again, &nested, &report, &error));
            CHECK(nested.calls == 1);
            CHECK(diffvp_report_free(report) == DIFFVP_STATUS_OK);
        }
        CHECK(diffvp_reporter_free(other) == DIFFVP_STATUS_OK && diffvp_reporter_free(reporter) == DIFFVP_STATUS_OK);
    }
    CHECK(diffvp_scan_free(scan) == DIFFVP_STATUS_OK && diffvp_options_free(options) == DIFFVP_STATUS_OK);
}

/* A block of water is no chest. */
static void another_part_of_the_body(const char *package)
{
    enum { SIDE = 40, COUNT = SIDE * SIDE * SIDE };
    const size_t dims[3] = {SIDE, SIDE, SIDE};
    const double spacing[3] = {8, 8, 8};
    int16_t *water = calloc(COUNT, sizeof *water);
    diffvp_options *options = NULL;
    diffvp_reporter *reporter = NULL;
    diffvp_scan *scan = NULL;
    diffvp_report *report = NULL;
    CHECK(water);
    OK(diffvp_options_new(&options, &error));
    OK(diffvp_options_set_max_new_tokens(options, 4, &error));
    OK(diffvp_scan_from_hu_i16(water, COUNT, dims, spacing, NULL, NULL, NULL, &scan, &error));
    free(water);
    OK(diffvp_reporter_open(package, options, &reporter, &error));
    FAILS(diffvp_reporter_report(reporter, scan, options, NULL, &report, &error), DIFFVP_STATUS_OUT_OF_SCOPE);
    OK(diffvp_options_set_any_body_part(options, 1, &error));
    FAILS(diffvp_options_set_any_body_part(options, 2, &error), DIFFVP_STATUS_INVALID_ARGUMENT);
    OK(diffvp_reporter_report(reporter, scan, options, NULL, &report, &error));
    OK(diffvp_options_set_any_body_part(options, 0, &error));
    FAILS(diffvp_options_set_sections(options, 3, &error), DIFFVP_STATUS_INVALID_ARGUMENT);
    OK(diffvp_options_set_sections(options, DIFFVP_SECTIONS_DEFAULT, &error));
    CHECK(diffvp_report_free(report) == DIFFVP_STATUS_OK);
    FAILS(diffvp_reporter_report(reporter, scan, options, NULL, &report, &error), DIFFVP_STATUS_OUT_OF_SCOPE);
    CHECK(diffvp_reporter_free(reporter) == DIFFVP_STATUS_OK && diffvp_scan_free(scan) == DIFFVP_STATUS_OK);
    CHECK(diffvp_options_free(options) == DIFFVP_STATUS_OK);
}

/* Many threads fight for the same handles; all that may happen is a status. */
static void *fight(void *argument)
{
    diffvp_scan **scans = argument;
    size_t dims[3];
    for (int round = 0; round < 2000; round++) {
        diffvp_scan *scan = scans[round % 8];
        int32_t status = diffvp_scan_dims(scan, dims, NULL);
        CHECK(status == DIFFVP_STATUS_OK || status == DIFFVP_STATUS_STALE_HANDLE);
        if (round > 1000) {
            status = diffvp_scan_free(scan);
            CHECK(status == DIFFVP_STATUS_OK || status == DIFFVP_STATUS_STALE_HANDLE);
        }
    }
    return NULL;
}

static void threads(void)
{
    const int16_t voxels[8] = {-1000, 0, 40, 100, -900, 10, 20, 30};
    const size_t dims[3] = {2, 2, 2};
    const double spacing[3] = {1, 1, 1};
    diffvp_scan *scans[8];
    pthread_t fighters[8];
    for (int i = 0; i < 8; i++)
        OK(diffvp_scan_from_hu_i16(voxels, 8, dims, spacing, NULL, NULL, NULL, &scans[i], &error));
    for (int i = 0; i < 8; i++)
        CHECK(pthread_create(&fighters[i], NULL, fight, scans) == 0);
    for (int i = 0; i < 8; i++)
        CHECK(pthread_join(fighters[i], NULL) == 0);
    for (int i = 0; i < 8; i++)
        CHECK(diffvp_scan_free(scans[i]) == DIFFVP_STATUS_STALE_HANDLE);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    misuse_of_handles(argv[1]);
    voxels_from_memory();
    threads();
    reports(argv[1], argv[2]);
    reports_in_callbacks(argv[1], argv[2]);
    another_part_of_the_body(argv[2]);
    puts("interface: all well");
    return 0;
}
