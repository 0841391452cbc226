/* A report as it is written, from voxels in memory, stopped by another thread after a deadline:
 * stream PACKAGE SECONDS
 *
 *   cc stream.c $(pkg-config --cflags --libs diffvp) -pthread -o stream
 *
 * The voxels are a picture of a body with two lungs, so that the program needs no file.
 */
#define _POSIX_C_SOURCE 200809L
#include <diffvp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int failed(int32_t status, diffvp_error *error)
{
    const char *message = "";
    diffvp_error_message(error, &message);
    fprintf(stderr, "%s: %s\n", diffvp_status_name(status), message);
    diffvp_error_free(error);
    return 1;
}

/* A deadline: stops the report, unless it ends before. */
struct timer {
    diffvp_cancel *cancel;
    struct timespec deadline;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    int has_ended;
};

static void *stop_later(void *argument)
{
    struct timer *timer = argument;
    int waited = 0;
    pthread_mutex_lock(&timer->mutex);
    while (!timer->has_ended && waited == 0)
        waited = pthread_cond_timedwait(&timer->ended, &timer->mutex, &timer->deadline);
    if (!timer->has_ended)
        diffvp_cancel_trigger(timer->cancel, NULL);
    pthread_mutex_unlock(&timer->mutex);
    return NULL;
}

static void set_deadline(struct timer *timer, double seconds)
{
    clock_gettime(CLOCK_REALTIME, &timer->deadline);
    timer->deadline.tv_sec += (time_t)seconds;
    timer->deadline.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    if (timer->deadline.tv_nsec >= 1000000000L) {
        timer->deadline.tv_sec += 1;
        timer->deadline.tv_nsec -= 1000000000L;
    }
}

/* What the callbacks share. */
struct progress {
    size_t bytes;
    int32_t stage;
};

static int32_t on_text(const char *text, size_t length, void *user_data)
{
    struct progress *progress = user_data;
    progress->bytes += length;
    /* Output that cannot be written, as to a closed pipe, stops the report. */
    return fputs(text, stdout) < 0 || fflush(stdout) != 0;
}

static int32_t on_progress(int32_t stage, float done, void *user_data)
{
    struct progress *progress = user_data;
    progress->stage = stage;
    fprintf(stderr, "[%3.0f %%] stage %d\n", 100.0 * done, (int)stage);
    return 0;
}

static void on_log(int32_t level, const char *target, const char *message, void *user_data)
{
    fprintf(user_data, "log %d %s: %s\n", (int)level, target, message);
}

enum { NX = 96, NY = 96, NZ = 64 };

/* A body of soft tissue (40 HU) in air, with two lungs (-850 HU). */
static int16_t *make_voxels(void)
{
    int16_t *voxels = malloc(sizeof *voxels * NX * NY * NZ);
    if (!voxels)
        return NULL;
    for (int z = 0; z < NZ; z++)
        for (int y = 0; y < NY; y++)
            for (int x = 0; x < NX; x++) {
                double u = 2.0 * x / (NX - 1) - 1.0, v = 2.0 * y / (NY - 1) - 1.0, w = 2.0 * z / (NZ - 1) - 1.0;
                double side = (u < 0 ? u + 0.4 : u - 0.4) / 0.3;
                int body = u * u / 0.81 + v * v / 0.49 < 1.0;
                int lung = side * side + v * v / 0.2 + w * w / 0.8 < 1.0;
                voxels[((size_t)z * NY + y) * NX + x] = (int16_t)(lung ? -850 : body ? 40 : -1000);
            }
    return voxels;
}

int main(int argc, char **argv)
{
    const size_t dims[3] = {NX, NY, NZ};
    const double spacing_mm[3] = {3.5, 3.5, 5.0};
    const double origin_mm[3] = {-168.0, -168.0, 0.0};
    struct progress progress = {0, -1};
    struct timer timer = {NULL, {0, 0}, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    pthread_t thread;
    int started = 0, result = 1;

    if (argc != 3) {
        fprintf(stderr, "usage: %s PACKAGE SECONDS\n", argv[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    set_deadline(&timer, atof(argv[2]));

    diffvp_error *error = NULL;
    diffvp_options *options = NULL;
    diffvp_reporter *reporter = NULL;
    diffvp_scan *scan = NULL;
    diffvp_report *report = NULL;
    int16_t *voxels = make_voxels();

    int32_t status = diffvp_log_set(on_log, DIFFVP_LOG_WARN, stderr, &error);
    if (status == DIFFVP_STATUS_OK)
        status = diffvp_options_new(&options, &error);
    if (status == DIFFVP_STATUS_OK)
        status = diffvp_options_set_threads(options, 2, &error);
    if (status == DIFFVP_STATUS_OK)
        status = diffvp_options_set_seed(options, 7, &error);
    if (status == DIFFVP_STATUS_OK)
        status = diffvp_reporter_open(argv[1], options, &reporter, &error);
    if (status == DIFFVP_STATUS_OK)
        status = diffvp_scan_from_hu_i16(voxels, voxels ? (size_t)NX * NY * NZ : 0, dims, spacing_mm, NULL, origin_mm,
                                         options, &scan, &error);
    free(voxels); /* The scan has a copy. */
    if (status == DIFFVP_STATUS_OK)
        status = diffvp_cancel_new(&timer.cancel, &error);
    if (status == DIFFVP_STATUS_OK)
        started = pthread_create(&thread, NULL, stop_later, &timer) == 0;
    if (status == DIFFVP_STATUS_OK && !started)
        fprintf(stderr, "no thread for the deadline\n");
    else if (status == DIFFVP_STATUS_OK)
        status = diffvp_reporter_report_streaming(reporter, scan, options, timer.cancel, on_text, on_progress,
                                                  &progress, &report, &error);
    if (status == DIFFVP_STATUS_CANCELLED) {
        printf("\nstopped in stage %d after %zu bytes\n", (int)progress.stage, progress.bytes);
        diffvp_error_free(error);
        result = 0;
    } else if (status == DIFFVP_STATUS_OK && started) {
        printf("\ncomplete after %zu bytes\n", progress.bytes);
        result = 0;
    } else if (status != DIFFVP_STATUS_OK) {
        failed(status, error);
    }

    if (started) {
        pthread_mutex_lock(&timer.mutex);
        timer.has_ended = 1;
        pthread_cond_signal(&timer.ended);
        pthread_mutex_unlock(&timer.mutex);
        pthread_join(thread, NULL);
    }
    diffvp_cancel_free(timer.cancel);
    diffvp_report_free(report);
    diffvp_scan_free(scan);
    diffvp_reporter_free(reporter);
    diffvp_options_free(options);
    diffvp_log_set(NULL, 0, NULL, NULL);
    return result;
}
