/* Ends the process while another thread's report is being decoded: leaving SCAN PACKAGE */
#define _POSIX_C_SOURCE 200809L
#include <diffvp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int decoding = 0;

static int32_t on_text(const char *text, size_t length, void *user_data)
{
    (void)text;
    (void)length;
    (void)user_data;
    pthread_mutex_lock(&mutex);
    decoding = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&mutex);
    return 0;
}

static void *report_for_ever(void *arguments)
{
    char **argv = arguments;
    diffvp_reporter *reporter = NULL;
    diffvp_scan *scan = NULL;
    if (diffvp_reporter_open(argv[2], NULL, &reporter, NULL) != DIFFVP_STATUS_OK ||
        diffvp_scan_open(argv[1], NULL, &scan, NULL) != DIFFVP_STATUS_OK)
        exit(2);
    for (;;) {
        diffvp_report *report = NULL;
        diffvp_reporter_report_streaming(reporter, scan, NULL, NULL, on_text, NULL, NULL, &report, NULL);
        diffvp_report_free(report);
    }
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (argc != 3 || pthread_create(&thread, NULL, report_for_ever, argv) != 0)
        return 2;
    pthread_mutex_lock(&mutex);
    while (!decoding)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    puts("leaving");
    return 0;
}
