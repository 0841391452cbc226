/* diffvp.h: chest CT to radiology report, in C. Part of libdiffvp, MIT OR Apache-2.0.
 *
 * Generated from diffvp-ffi by `cargo xtask header`: change it there. docs/c-interface.md is the guide.
 *
 * What holds for every function
 *
 * Status. Functions return a status: DIFFVP_STATUS_OK, which is 0, or what went wrong. Those that have an
 *   argument `error` also write a diffvp_error there, which the caller frees; null is allowed for callers who
 *   need the number only. A failing call writes to `error` and to nothing else; a call that succeeds does not
 *   touch `error`. Nothing panics, throws, aborts or prints.
 * Handles. A pointer to diffvp_scan and the like is a handle: a checked number that is never the address of
 *   anything. Null, a handle that was freed, one of another type and a stray number are a status. Each handle
 *   belongs to the caller, who frees it once, in any order; freeing null does nothing.
 * Threads. Every function may be called from any thread at any time, with handles that other threads use or
 *   free at that moment: a call keeps what it uses alive until it returns. Only the strings and arrays that a
 *   handle has handed out end with it, so a thread must not free a handle while another reads those.
 * Strings. UTF-8, with a NUL at the end. Strings that go in are copied. Strings that come out belong to a
 *   handle and live until it is freed; each function says to which. They must not be changed.
 * Arrays. Null is allowed where the length is 0, and where a function says so. They are read during the call.
 *   The library cannot know whether memory is as long as the caller says.
 * Units. Lengths in mm, voxels in Hounsfield units (HU), positions in LPS patient coordinates (+x to the
 *   patient's left, +y to the back, +z to the head), as in DICOM and ITK.
 */


#ifndef DIFFVP_H
#define DIFFVP_H

#include <stddef.h>
#include <stdint.h>


/*
 Version of the interface. It grows with every change that breaks a program that was compiled before, and it
 is the number in the name of the shared library, `libdiffvp.so.0`. Compare it with diffvp_abi_version().
 */
#define DIFFVP_ABI_VERSION 0

/*
 Major version of the library that this header belongs to.
 */
#define DIFFVP_VERSION_MAJOR 0

/*
 Minor version of the library that this header belongs to.
 */
#define DIFFVP_VERSION_MINOR 1

/*
 Patch version of the library that this header belongs to.
 */
#define DIFFVP_VERSION_PATCH 0

/*
 Success.
 */
#define DIFFVP_STATUS_OK 0

/*
 The path does not exist.
 */
#define DIFFVP_STATUS_NOT_FOUND 10

/*
 The operating system refused to read.
 */
#define DIFFVP_STATUS_READ 11

/*
 A folder without a DICOM file.
 */
#define DIFFVP_STATUS_EMPTY_STUDY 12

/*
 Neither NIfTI nor DICOM, whatever the name says.
 */
#define DIFFVP_STATUS_UNKNOWN_FORMAT 13

/*
 A known format in a form that is not read.
 */
#define DIFFVP_STATUS_UNSUPPORTED 14

/*
 Truncated or contradictory.
 */
#define DIFFVP_STATUS_CORRUPT 15

/*
 Larger than the limit, or than memory holds; refused before memory is taken.
 */
#define DIFFVP_STATUS_LIMIT_EXCEEDED 16

/*
 Two- or four-dimensional, or a single slice.
 */
#define DIFFVP_STATUS_NOT_A_VOLUME 17

/*
 NaN or infinite values.
 */
#define DIFFVP_STATUS_INVALID_VOXELS 18

/*
 Positions, spacing or directions that make no volume.
 */
#define DIFFVP_STATUS_GEOMETRY 19

/*
 No series of the study can be reported.
 */
#define DIFFVP_STATUS_NO_USABLE_SERIES 20

/*
 Readable, but not what the model is for.
 */
#define DIFFVP_STATUS_OUT_OF_SCOPE 21

/*
 No readable manifest.json, or one that breaks its specification.
 */
#define DIFFVP_STATUS_MANIFEST 30

/*
 The package format is newer than this program.
 */
#define DIFFVP_STATUS_PACKAGE_VERSION 31

/*
 The package requires a feature that this program lacks.
 */
#define DIFFVP_STATUS_PACKAGE_FEATURE 32

/*
 A listed file is not there.
 */
#define DIFFVP_STATUS_PACKAGE_FILE_MISSING 33

/*
 Size or hash differ from the manifest.
 */
#define DIFFVP_STATUS_PACKAGE_FILE_CHANGED 34

/*
 The reference bank belongs to another encoder.
 */
#define DIFFVP_STATUS_BANK_MISMATCH 35

/*
 A file is whole but cannot be used, such as a graph that is not ONNX.
 */
#define DIFFVP_STATUS_PACKAGE_CONTENT 36

/*
 No ONNX Runtime library; the message lists every place tried.
 */
#define DIFFVP_STATUS_RUNTIME_NOT_FOUND 50

/*
 A library that is none, too old, or not the one already loaded.
 */
#define DIFFVP_STATUS_RUNTIME_UNUSABLE 51

/*
 The requested device cannot be used; nothing falls back.
 */
#define DIFFVP_STATUS_DEVICE_UNAVAILABLE 52

/*
 ONNX Runtime failed while running a graph.
 */
#define DIFFVP_STATUS_INFERENCE 53

/*
 The caller stopped the report.
 */
#define DIFFVP_STATUS_CANCELLED 70

/*
 An option with a value that cannot be used.
 */
#define DIFFVP_STATUS_INVALID_OPTION 71

/*
 A result could not be written; nothing is left in its place.
 */
#define DIFFVP_STATUS_WRITE 72

/*
 The prompt leaves no room for a report.
 */
#define DIFFVP_STATUS_CONTEXT_FULL 73

/*
 A mistake of this program.
 */
#define DIFFVP_STATUS_INTERNAL 99

/*
 A required pointer was null.
 */
#define DIFFVP_STATUS_NULL_ARGUMENT 1001

/*
 A handle that this library never made.
 */
#define DIFFVP_STATUS_INVALID_HANDLE 1002

/*
 A handle that was already freed.
 */
#define DIFFVP_STATUS_STALE_HANDLE 1003

/*
 A handle of another type than the function takes.
 */
#define DIFFVP_STATUS_WRONG_KIND 1004

/*
 Text that is not UTF-8.
 */
#define DIFFVP_STATUS_INVALID_UTF8 1005

/*
 A number that is none of the documented constants, or outside its range.
 */
#define DIFFVP_STATUS_INVALID_ARGUMENT 1006

/*
 Sizes that contradict each other, or are larger than memory can be.
 */
#define DIFFVP_STATUS_INVALID_SIZE 1007

/*
 An index that is not below its count.
 */
#define DIFFVP_STATUS_NO_SUCH_INDEX 1008

/*
 The caller's buffer is too small; the message says what is needed.
 */
#define DIFFVP_STATUS_BUFFER_TOO_SMALL 1009

/*
 A mistake of this library was caught; the message has its text, please report it.
 */
#define DIFFVP_STATUS_PANIC 1010

/*
 More objects are alive than can be named; some are never freed.
 */
#define DIFFVP_STATUS_TOO_MANY_HANDLES 1011

/*
 There is not enough memory for what was asked.
 */
#define DIFFVP_STATUS_OUT_OF_MEMORY 1012

/*
 The function was called from inside a callback that does not allow it.
 */
#define DIFFVP_STATUS_REENTRANT 1013

/*
 Another part of the process listens to the log already.
 */
#define DIFFVP_STATUS_LOG_TAKEN 1014

/*
 The processor.
 */
#define DIFFVP_DEVICE_CPU 0

/*
 An NVIDIA GPU through CUDA.
 */
#define DIFFVP_DEVICE_CUDA 1

/*
 An NVIDIA GPU through TensorRT.
 */
#define DIFFVP_DEVICE_TENSORRT 2

/*
 For diffvp_options_set_gpu: float32 products may round their inputs to TensorFloat-32 (10 bits of mantissa).
 */
#define DIFFVP_GPU_TF32 1

/*
 For diffvp_options_set_gpu: algorithms are picked by timing them, at load and at first runs. Two processes may
 then differ in the last digits of a result.
 */
#define DIFFVP_GPU_TUNE 2

/*
 For diffvp_options_set_gpu: operators that the GPU has no kernel for run on the processor. Without this the package
 that holds them is refused.
 */
#define DIFFVP_GPU_CPU_OPERATORS 4

/*
 For diffvp_options_set_sections: what the package offers first.
 */
#define DIFFVP_SECTIONS_DEFAULT 0

/*
 For diffvp_options_set_sections: one after the other, each after all before it.
 */
#define DIFFVP_SECTIONS_SEQUENTIAL 1

/*
 For diffvp_options_set_sections: all at once, each after the prompt alone.
 */
#define DIFFVP_SECTIONS_PARALLEL 2

/*
 Volume to model input.
 */
#define DIFFVP_STAGE_PREPROCESS 0

/*
 Model input to tokens.
 */
#define DIFFVP_STAGE_ENCODE 1

/*
 Model input to findings.
 */
#define DIFFVP_STAGE_CLASSIFY 2

/*
 Tokens against the tokens of a normal reference.
 */
#define DIFFVP_STAGE_CONTRAST 3

/*
 The prompt into the language model.
 */
#define DIFFVP_STAGE_PREFILL 4

/*
 Token by token.
 */
#define DIFFVP_STAGE_DECODE 5

/*
 Something failed.
 */
#define DIFFVP_LOG_ERROR 1

/*
 Something a reader should know.
 */
#define DIFFVP_LOG_WARN 2

/*
 What happens, in few lines.
 */
#define DIFFVP_LOG_INFO 3

/*
 What happens, in detail.
 */
#define DIFFVP_LOG_DEBUG 4

/*
 Stops reports from any thread. One may be given to several reports, which it then stops together; once
 triggered it stays so. Freed with diffvp_cancel_free, also while a report uses it: the report goes on.
 */
typedef struct diffvp_cancel diffvp_cancel;

/*
 Why one call failed. Written by a failing call through its last argument, owned by the caller, freed with
 diffvp_error_free. May be used from any thread.
 */
typedef struct diffvp_error diffvp_error;

/*
 Settings, all with a default. Functions that take options read them during the call and keep nothing of
 them; null stands for the defaults. May be used and changed from any thread; a call sees the settings as they
 were when it began. Freed with diffvp_options_free.
 */
typedef struct diffvp_options diffvp_options;

/*
 A report, which never changes. May be used from any thread, by several at a time. Strings and arrays that its
 functions hand out belong to it and live until diffvp_report_free.
 */
typedef struct diffvp_report diffvp_report;

/*
 A loaded model package. May be used from any thread, and several may report with it at the same time. Freed
 with diffvp_reporter_free, also while it reports: those reports go on.
 */
typedef struct diffvp_reporter diffvp_reporter;

/*
 A CT scan in memory, which never changes. May be used from any thread, by several at a time. Freed with
 diffvp_scan_free, also while a report reads it: the report goes on.
 */
typedef struct diffvp_scan diffvp_scan;

/*
 A text that belongs to the caller: what may change later, such as the model in use. Freed with
 diffvp_string_free. May be used from any thread.
 */
typedef struct diffvp_string diffvp_string;

/*
 Hears new text of a report. `text` is UTF-8 with a NUL at its end, `length` its bytes without it; it lives until
 the callback returns. The pieces joined are the text of the report. Returns 0 to go on; anything else stops the
 report, which ends with DIFFVP_STATUS_CANCELLED.

 It is called on the thread that asked for the report, and may call any function of this library, with one
 exception: where the reporter has a limit of concurrent reports (diffvp_options_set_concurrency), asking the same
 reporter for another report would wait for this one, and is DIFFVP_STATUS_REENTRANT. Waiting here for another
 thread that does so waits forever. It must not throw or jump out.
 */
typedef int32_t (*diffvp_text_callback)(const char *text, size_t length, void *user_data);

/*
 Hears of each stage that begins: one of the DIFFVP_STAGE_ constants (there may be more of them in later versions),
 and the share of stages that are over, from 0 to 1. Returns and rules as for diffvp_text_callback.
 */
typedef int32_t (*diffvp_progress_callback)(int32_t stage, float done, void *user_data);

/*
 Hears a message. `level` is one of the DIFFVP_LOG_ constants; `target` says which part of the library speaks,
 `message` what. Both are UTF-8 with a NUL at their end and live until the callback returns. No message holds
 patient data.

 It is called on any thread, by several at a time, also on threads of ONNX Runtime, and in the middle of loading and
 reporting. So it cannot do these itself: the diffvp_runtime_ functions, diffvp_reporter_open, diffvp_reporter_swap and
 the report functions are DIFFVP_STATUS_REENTRANT inside it. Messages that its other calls of this library cause are
 dropped. It must not throw or jump out.
 */
typedef void (*diffvp_log_callback)(int32_t level, const char *target, const char *message, void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Version of the library in use, such as "0.1.0".

 The string is static: never free it. May be called from any thread at any time.
 */
const char *diffvp_version(void);

/*
 Version of the interface of the library in use. Where it is not DIFFVP_ABI_VERSION, the program was compiled
 for another library: stop.

 May be called from any thread at any time.
 */
uint32_t diffvp_abi_version(void);

/*
 Name of a status as one stable word, such as `"not_found"`; `"unknown"` for other numbers.

 The string is static: never free it. May be called from any thread at any time.
 */
const char *diffvp_status_name(int32_t status);

/*
 Meaning of a status in a few English words. What went wrong in one call is in its `diffvp_error`.

 The string is static: never free it. May be called from any thread at any time.
 */
const char *diffvp_status_meaning(int32_t status);

/*
 Number of the error: the status that the failing call returned.

 Returns DIFFVP_STATUS_OK, or a status of misuse.
 */
int32_t diffvp_error_status(const struct diffvp_error *error, int32_t *status);

/*
 What went wrong, in English, with what was expected and what was found. Holds no patient data.

 `*message` belongs to the error and lives until diffvp_error_free.
 Returns DIFFVP_STATUS_OK, or a status of misuse.
 */
int32_t diffvp_error_message(const struct diffvp_error *error, const char **message);

/*
 Frees an error. Null is allowed and does nothing.

 Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
 */
int32_t diffvp_error_free(struct diffvp_error *error);

/*
 The text, UTF-8 with a NUL at its end, and its length in bytes without the NUL (`length` may be null).

 `*text` belongs to the string and lives until diffvp_string_free.
 */
int32_t diffvp_string_text(const struct diffvp_string *string,
                           const char **text,
                           size_t *length,
                           struct diffvp_error **error);

/*
 Frees a string. Null is allowed and does nothing.

 Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
 */
int32_t diffvp_string_free(struct diffvp_string *string);

/*
 Loads ONNX Runtime, which happens once in a process. Calling it is not needed; it lets a host name the library
 and hear early that it cannot be used.

 `library` is the path of libonnxruntime; null to look where ORT_DYLIB_PATH says, beside the executable, and in
 the cache folder, in this order. A host that has loaded ONNX Runtime itself names that file here. Naming
 another file than the one that is loaded is DIFFVP_STATUS_RUNTIME_UNUSABLE; where none is found,
 DIFFVP_STATUS_RUNTIME_NOT_FOUND; inside a log callback, DIFFVP_STATUS_REENTRANT.

 Where the environment variable ORT_DISABLE_TELEMETRY is not 1, the call that loads the library sets it, which is not
 safe while other threads read the environment: set it before starting threads, or call this function before.
 The other functions that load are diffvp_runtime_version, diffvp_runtime_library and diffvp_reporter_open.
 Waits while another thread loads the library.
 */
int32_t diffvp_runtime_init(const char *library,
                            struct diffvp_error **error);

/*
 Version of the loaded ONNX Runtime, such as "1.31.1", and loads it where that has not happened: then with the errors
 of diffvp_runtime_init.

 `*version` belongs to the caller: diffvp_string_free.
 */
int32_t diffvp_runtime_version(struct diffvp_string **version,
                               struct diffvp_error **error);

/*
 Path of the loaded ONNX Runtime, and loads it where that has not happened: then with the errors of
 diffvp_runtime_init.

 `*path` belongs to the caller: diffvp_string_free.
 */
int32_t diffvp_runtime_library(struct diffvp_string **path, struct diffvp_error **error);

/*
 Makes options with the default of every setting.
 */
int32_t diffvp_options_new(struct diffvp_options **options, struct diffvp_error **error);

/*
 Where the graphs run: one of DIFFVP_DEVICE_CPU (the default), DIFFVP_DEVICE_CUDA, DIFFVP_DEVICE_TENSORRT,
 and the number of the GPU (0 for the processor); anything else is DIFFVP_STATUS_INVALID_ARGUMENT. A device that cannot be used is an error when the reporter
 is opened; nothing falls back. Read by diffvp_reporter_open.
 */
int32_t diffvp_options_set_device(struct diffvp_options *options,
                                  int32_t device,
                                  uint32_t index,
                                  struct diffvp_error **error);

/*
 How a GPU is used: any of the DIFFVP_GPU_ constants, added; 0, the default, for full precision, reproducible, and
 nothing on the processor. Other bits are DIFFVP_STATUS_INVALID_ARGUMENT. Without effect on the processor. Read by
 diffvp_reporter_open.
 */
int32_t diffvp_options_set_gpu(struct diffvp_options *options,
                               uint32_t flags,
                               struct diffvp_error **error);

/*
 Threads inside an operator; 0, the default, for all cores; at most 1024, which diffvp_reporter_open checks. Read by
 diffvp_reporter_open.
 */
int32_t diffvp_options_set_threads(struct diffvp_options *options,
                                   size_t threads,
                                   struct diffvp_error **error);

/*
 Reports that one reporter makes at a time; further calls wait, and can be cancelled while they do. 0, the
 default, for no limit. Each running report holds its own working memory. Read by diffvp_reporter_open.
 */
int32_t diffvp_options_set_concurrency(struct diffvp_options *options,
                                       size_t reports,
                                       struct diffvp_error **error);

/*
 Most voxels that a scan may have, 2^30 by default; more is DIFFVP_STATUS_LIMIT_EXCEEDED before memory is
 taken. Read by the functions that make scans.
 */
int32_t diffvp_options_set_max_voxels(struct diffvp_options *options,
                                      uint64_t voxels,
                                      struct diffvp_error **error);

/*
 Loads the DICOM series with this SeriesInstanceUID instead of the best one; null for the best one, the
 default. The text is copied. Read by diffvp_scan_open and diffvp_scan_from_dicom.
 */
int32_t diffvp_options_set_series_instance_uid(struct diffvp_options *options,
                                               const char *uid,
                                               struct diffvp_error **error);

/*
 Spacing for NIfTI files whose header has none: three numbers above 0, x, y, z in mm; null for none, the
 default. Other numbers are DIFFVP_STATUS_INVALID_OPTION. The numbers are copied. Read by diffvp_scan_open.
 */
int32_t diffvp_options_set_spacing_mm(struct diffvp_options *options,
                                      const double *spacing_mm,
                                      struct diffvp_error **error);

/*
 Frees options. Null is allowed and does nothing.

 Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
 */
int32_t diffvp_options_free(struct diffvp_options *options);

/*
 Seed of everything that is drawn at random: the normal reference, and tokens where sampling is random.
 Default 0. The same scan, package, options and device give the same report. Read by the report functions.
 */
int32_t diffvp_options_set_seed(struct diffvp_options *options, uint64_t seed, struct diffvp_error **error);

/*
 Always takes the most probable token; the default. Read by the report functions.
 */
int32_t diffvp_options_set_sampling_greedy(struct diffvp_options *options, struct diffvp_error **error);

/*
 Draws tokens at random. `temperature` is above 0. `top_k` keeps that many most probable tokens, 0 for all.
 `top_p`, above 0 and at most 1, keeps the smallest set of tokens whose probability reaches it. Other numbers are
 DIFFVP_STATUS_INVALID_OPTION. Read by the report functions.
 */
int32_t diffvp_options_set_sampling_random(struct diffvp_options *options,
                                           float temperature,
                                           size_t top_k,
                                           float top_p,
                                           struct diffvp_error **error);

/*
 Compares with a normal reference that the seed draws; the default. Read by the report functions.
 */
int32_t diffvp_options_set_reference_seeded(struct diffvp_options *options, struct diffvp_error **error);

/*
 Compares with the normal reference at this position of the package's bank. A position that the bank does not
 have is DIFFVP_STATUS_INVALID_OPTION when the report is made. Read by the report functions.
 */
int32_t diffvp_options_set_reference_index(struct diffvp_options *options,
                                           size_t index,
                                           struct diffvp_error **error);

/*
 Compares with the normal reference of this name in the package's bank. A name that the bank does not have is
 DIFFVP_STATUS_INVALID_OPTION when the report is made. The name is copied. Read by the report functions.
 */
int32_t diffvp_options_set_reference_id(struct diffvp_options *options,
                                        const char *id,
                                        struct diffvp_error **error);

/*
 Most tokens that the model writes. It can only lower the number of the package's manifest, which is the
 default. Read by the report functions.
 */
int32_t diffvp_options_set_max_new_tokens(struct diffvp_options *options,
                                          size_t tokens,
                                          struct diffvp_error **error);

/*
 In which order the sections are written: one of the DIFFVP_SECTIONS_ constants. DIFFVP_SECTIONS_DEFAULT, the default, is the
 package's first. An order that the package does not offer is DIFFVP_STATUS_INVALID_OPTION when the report is made; another number
 is DIFFVP_STATUS_INVALID_ARGUMENT. Read by the report functions.
 */
int32_t diffvp_options_set_sections(struct diffvp_options *options,
                                    int32_t order,
                                    struct diffvp_error **error);

/*
 Whether a scan that shows another part of the body than the model is for is reported all the same: 1, or 0, the
 default, for DIFFVP_STATUS_OUT_OF_SCOPE. Another number is DIFFVP_STATUS_INVALID_ARGUMENT. Values that are not
 Hounsfield units stay out of scope where the package says so. Read by the report functions.
 */
int32_t diffvp_options_set_any_body_part(struct diffvp_options *options,
                                         int32_t any,
                                         struct diffvp_error **error);

/*
 Opens a NIfTI file, a DICOM file, or a folder with one or many DICOM series. Content decides what a file is.

 `path` is UTF-8. `options` (null for defaults) gives the limit of voxels, the series and the spacing.
 `*scan` belongs to the caller: diffvp_scan_free. Errors are 10 to 20 and 71 of the status table.
 */
int32_t diffvp_scan_open(const char *path,
                         const struct diffvp_options *options,
                         struct diffvp_scan **scan,
                         struct diffvp_error **error);

/*
 Number of voxels along x, y, z: `dims` has room for three values.
 */
int32_t diffvp_scan_dims(const struct diffvp_scan *scan, size_t *dims, struct diffvp_error **error);

/*
 The grid of a scan in the patient coordinates of DICOM and ITK (LPS, mm). Each place may be null.

 `spacing_mm`: three values, x, y, z. `direction`: nine values, row by row; column a is the unit vector of grid
 axis a. `origin_mm`: three values, the centre of voxel (0, 0, 0).
 */
int32_t diffvp_scan_grid(const struct diffvp_scan *scan,
                         double *spacing_mm,
                         double *direction,
                         double *origin_mm,
                         struct diffvp_error **error);

/*
 The voxels in Hounsfield units, x fastest, then y, then z, and their number (`count` may be null).

 `*voxels_hu` belongs to the scan and lives until diffvp_scan_free.
 */
int32_t diffvp_scan_voxels(const struct diffvp_scan *scan,
                           const float **voxels_hu,
                           size_t *count,
                           struct diffvp_error **error);

/*
 Number of warnings: what was decided or noticed while loading.
 */
int32_t diffvp_scan_warning_count(const struct diffvp_scan *scan, size_t *count, struct diffvp_error **error);

/*
 A warning: a stable word such as "series_chosen", and a sentence without patient data. `code` may be null.

 The strings belong to the scan and live until diffvp_scan_free.
 */
int32_t diffvp_scan_warning(const struct diffvp_scan *scan,
                            size_t index,
                            const char **code,
                            const char **message,
                            struct diffvp_error **error);

/*
 Where the scan comes from, as JSON: format, number of files, and the series that were seen with the reason
 why each was refused. Holds series UIDs and no other identifier.

 `*json` belongs to the scan and lives until diffvp_scan_free.
 */
int32_t diffvp_scan_source_json(const struct diffvp_scan *scan,
                                const char **json,
                                struct diffvp_error **error);

/*
 Frees a scan. Null is allowed and does nothing.

 Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
 */
int32_t diffvp_scan_free(struct diffvp_scan *scan);

/*
 Makes a scan from DICOM files in memory, in any order; the rules are those for a folder.

 `buffers` are `count` addresses and `sizes` their lengths in bytes. They are read during the call only.
 `options` (null for defaults) gives the limit of voxels and the series.
 `*scan` belongs to the caller: diffvp_scan_free. Errors are 14 to 20 of the status table; they name files by their
 position. No files, or none with an image, is DIFFVP_STATUS_NOT_A_VOLUME.
 */
int32_t diffvp_scan_from_dicom(const void *const *buffers,
                               const size_t *sizes,
                               size_t count,
                               const struct diffvp_options *options,
                               struct diffvp_scan **scan,
                               struct diffvp_error **error);

/*
 Makes a scan from 16-bit voxels in Hounsfield units (rescaled, not stored values), x fastest, then y, then z.

 `count` is the number of voxels and must be the product of `dims`. `dims` and `spacing_mm` are three values,
 x, y, z. `direction` is nine values, row by row, column a the unit vector of grid axis a in LPS coordinates;
 null for axes to the left, the back and the head. `origin_mm` is the centre of voxel (0, 0, 0) in LPS
 coordinates; null for zero. These are the conventions of ITK, and of DICOM.

 Everything is copied: the arrays may be freed after the call. `options` (null for defaults) gives the limit of
 voxels. `*scan` belongs to the caller: diffvp_scan_free.

 Errors: DIFFVP_STATUS_INVALID_SIZE where `count` is 0 or not the product of `dims`; DIFFVP_STATUS_LIMIT_EXCEEDED above
 the limit of voxels; DIFFVP_STATUS_GEOMETRY for a spacing that is not above 0, an origin that is not finite, or a
 direction whose columns are not orthonormal within 1e-3; DIFFVP_STATUS_OUT_OF_MEMORY.
 */
int32_t diffvp_scan_from_hu_i16(const int16_t *voxels_hu,
                                size_t count,
                                const size_t *dims,
                                const double *spacing_mm,
                                const double *direction,
                                const double *origin_mm,
                                const struct diffvp_options *options,
                                struct diffvp_scan **scan,
                                struct diffvp_error **error);

/*
 As diffvp_scan_from_hu_i16, from 32-bit floats, which must be finite: DIFFVP_STATUS_INVALID_VOXELS where they are not.
 */
int32_t diffvp_scan_from_hu_f32(const float *voxels_hu,
                                size_t count,
                                const size_t *dims,
                                const double *spacing_mm,
                                const double *direction,
                                const double *origin_mm,
                                const struct diffvp_options *options,
                                struct diffvp_scan **scan,
                                struct diffvp_error **error);

/*
 Makes a cancel handle.
 */
int32_t diffvp_cancel_new(struct diffvp_cancel **cancel, struct diffvp_error **error);

/*
 Stops the reports that were given this handle, and those that will be. Returns at once; a report that is
 waiting or running, also inside a graph, ends soon after with DIFFVP_STATUS_CANCELLED. From any thread, and
 from callbacks; not from signal handlers.
 */
int32_t diffvp_cancel_trigger(const struct diffvp_cancel *cancel, struct diffvp_error **error);

/*
 Writes 1 to `*triggered` after diffvp_cancel_trigger, 0 before.
 */
int32_t diffvp_cancel_is_triggered(const struct diffvp_cancel *cancel,
                                   int32_t *triggered,
                                   struct diffvp_error **error);

/*
 Frees a cancel handle. Null is allowed and does nothing.

 Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
 */
int32_t diffvp_cancel_free(struct diffvp_cancel *cancel);

/*
 Opens a model package: verifies all of it and loads it, which takes seconds.

 `package` is the path of its folder, in UTF-8. `options` (null for defaults) gives device, threads and
 concurrency; more than 1024 threads are DIFFVP_STATUS_INVALID_OPTION. `*reporter` belongs to the caller:
 diffvp_reporter_free. Errors are 10 to 16, 30 to 53 and 71 of the status table.
 */
int32_t diffvp_reporter_open(const char *package,
                             const struct diffvp_options *options,
                             struct diffvp_reporter **reporter,
                             struct diffvp_error **error);

/*
 Loads another package, or another version, and uses it for every report that begins from now on. Reports that
 are running finish on the one they began with, and go on meanwhile. Takes seconds, as diffvp_reporter_open, and has its
 errors; on an error nothing changes. From any thread.
 */
int32_t diffvp_reporter_swap(const struct diffvp_reporter *reporter,
                             const char *package,
                             struct diffvp_error **error);

/*
 Id of the model in use, from the manifest of the package.

 `*id` belongs to the caller: diffvp_string_free.
 */
int32_t diffvp_reporter_model_id(const struct diffvp_reporter *reporter,
                                 struct diffvp_string **id,
                                 struct diffvp_error **error);

/*
 Version of the model in use, from the manifest of the package.

 `*version` belongs to the caller: diffvp_string_free.
 */
int32_t diffvp_reporter_model_version(const struct diffvp_reporter *reporter,
                                      struct diffvp_string **version,
                                      struct diffvp_error **error);

/*
 The manifest of the package in use, as JSON: findings, sections, references, intended use and more.

 `*json` belongs to the caller: diffvp_string_free.
 */
int32_t diffvp_reporter_manifest_json(const struct diffvp_reporter *reporter,
                                      struct diffvp_string **json,
                                      struct diffvp_error **error);

/*
 The device in use: "cpu", "cuda:0", "tensorrt:0" and so on.

 `*device` belongs to the caller: diffvp_string_free.
 */
int32_t diffvp_reporter_device(const struct diffvp_reporter *reporter,
                               struct diffvp_string **device,
                               struct diffvp_error **error);

/*
 Reports a scan, and returns when the report is there.

 `options` (null for defaults) gives seed, sampling, reference, the limit of tokens and whether any part of the body is
 reported. `cancel` may be null. `*report` belongs to the caller: diffvp_report_free. Errors are 16 (no memory, or a
 spacing that makes too many voxels), 21, 30 and 36 (a package that contradicts itself), 53, 70, 71 and 73 of the status
 table, and DIFFVP_STATUS_REENTRANT (see diffvp_text_callback and diffvp_log_callback).
 */
int32_t diffvp_reporter_report(const struct diffvp_reporter *reporter,
                               const struct diffvp_scan *scan,
                               const struct diffvp_options *options,
                               const struct diffvp_cancel *cancel,
                               struct diffvp_report **report,
                               struct diffvp_error **error);

/*
 As diffvp_reporter_report, telling callbacks of text as it is written and of stages as they begin. Each
 callback may be null. `user_data` is handed to both and is not looked at.
 */
int32_t diffvp_reporter_report_streaming(const struct diffvp_reporter *reporter,
                                         const struct diffvp_scan *scan,
                                         const struct diffvp_options *options,
                                         const struct diffvp_cancel *cancel,
                                         diffvp_text_callback on_text,
                                         diffvp_progress_callback on_progress,
                                         void *user_data,
                                         struct diffvp_report **report,
                                         struct diffvp_error **error);

/*
 Frees a reporter; the package is unloaded when the last report that runs on it has ended. Null is allowed and
 does nothing.

 Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
 */
int32_t diffvp_reporter_free(struct diffvp_reporter *reporter);

/*
 The text as the model wrote it, headings included, and its length in bytes (`length` may be null).
 */
int32_t diffvp_report_text(const struct diffvp_report *report,
                           const char **text,
                           size_t *length,
                           struct diffvp_error **error);

/*
 The report for people: sections, findings, warnings, what made it, intended use; and its length in bytes
 (`length` may be null).
 */
int32_t diffvp_report_printed(const struct diffvp_report *report,
                              const char **text,
                              size_t *length,
                              struct diffvp_error **error);

/*
 The whole report as JSON (docs/report-json.md), and its length in bytes (`length` may be null).
 */
int32_t diffvp_report_json(const struct diffvp_report *report,
                           const char **json,
                           size_t *length,
                           struct diffvp_error **error);

/*
 What made the report, as JSON: versions, device, model, package hash, reference, seed and more; and its length
 in bytes (`length` may be null). Holds nothing about the patient.
 */
int32_t diffvp_report_provenance_json(const struct diffvp_report *report,
                                      const char **json,
                                      size_t *length,
                                      struct diffvp_error **error);

/*
 Number of sections; empty ones are left out.
 */
int32_t diffvp_report_section_count(const struct diffvp_report *report,
                                    size_t *count,
                                    struct diffvp_error **error);

/*
 A section, in the order of the report: the region as the data spells it, the heading as printed, the text
 without heading. Text under no heading has an empty region and heading. `region` and `heading` may be null.
 */
int32_t diffvp_report_section(const struct diffvp_report *report,
                              size_t index,
                              const char **region,
                              const char **heading,
                              const char **text,
                              struct diffvp_error **error);

/*
 Number of findings that the classifier knows.
 */
int32_t diffvp_report_finding_count(const struct diffvp_report *report,
                                    size_t *count,
                                    struct diffvp_error **error);

/*
 A finding, in the order of the manifest: its name, its probability and the threshold from which it is taken as
 present (both 0 to 1), and whether it is (1 or 0). Each place but `name` may be null.
 */
int32_t diffvp_report_finding(const struct diffvp_report *report,
                              size_t index,
                              const char **name,
                              float *probability,
                              float *threshold,
                              int32_t *present,
                              struct diffvp_error **error);

/*
 Importance of each latent token, the squared distance from the token of the reference, and their number
 (`count` may be null). `*values` belongs to the report.
 */
int32_t diffvp_report_importance(const struct diffvp_report *report,
                                 const float **values,
                                 size_t *count,
                                 struct diffvp_error **error);

/*
 Number of warnings from scan, package and writing.
 */
int32_t diffvp_report_warning_count(const struct diffvp_report *report,
                                    size_t *count,
                                    struct diffvp_error **error);

/*
 A warning: a stable word such as "report_truncated", and a sentence without patient data. `code` may be null.
 */
int32_t diffvp_report_warning(const struct diffvp_report *report,
                              size_t index,
                              const char **code,
                              const char **message,
                              struct diffvp_error **error);

/*
 Whether the maker of the model allows clinical use (1 or 0), and what it may be used for, in the words of the
 manifest. A host shows the statement with every report. Each place may be null.
 */
int32_t diffvp_report_intended_use(const struct diffvp_report *report,
                                   int32_t *clinical_use,
                                   const char **statement,
                                   struct diffvp_error **error);

/*
 Frees a report with all that its functions handed out. Null is allowed and does nothing.

 Returns DIFFVP_STATUS_OK, or DIFFVP_STATUS_STALE_HANDLE and the like, without harm.
 */
int32_t diffvp_report_free(struct diffvp_report *report);

/*
 Number of values of the difference map along x, y, z, which is the scan's own grid: `dims` has room for three.
 */
int32_t diffvp_report_map_dims(const struct diffvp_report *report,
                               size_t *dims,
                               struct diffvp_error **error);

/*
 The grid of the difference map, which is the scan's, with the conventions of diffvp_scan_grid. Each place may be
 null.
 */
int32_t diffvp_report_map_grid(const struct diffvp_report *report,
                               double *spacing_mm,
                               double *direction,
                               double *origin_mm,
                               struct diffvp_error **error);

/*
 Computes the difference map on the scan's grid into `values`, x fastest, then y, then z: 0 or more, 0 outside the
 model's field of view. `capacity` is the number of values that fit; the product of diffvp_report_map_dims is
 needed, and less is DIFFVP_STATUS_BUFFER_TOO_SMALL. Where there is no memory for a copy of the map:
 DIFFVP_STATUS_LIMIT_EXCEEDED.
 */
int32_t diffvp_report_map(const struct diffvp_report *report,
                          float *values,
                          size_t capacity,
                          struct diffvp_error **error);

/*
 The highest value among the model's features, which are coarser than the scan's grid, and the centre of that feature
 in LPS patient coordinates in mm (three values), moved into the scan where it lies outside. Values of
 diffvp_report_map are interpolated between features, so none of them is higher. Each place may be null.
 */
int32_t diffvp_report_map_peak(const struct diffvp_report *report,
                               float *value,
                               double *position_mm,
                               struct diffvp_error **error);

/*
 Sends messages up to `max_level` (one of the DIFFVP_LOG_ constants) to `callback`, in place of the callback that was
 set before; null ends logging. By default nothing is logged anywhere.

 When the call returns, the earlier callback is not running any more and will not be called again: its user data
 may be freed. It waits for callbacks that are running: do not hold a lock that the callback takes. Not from inside a log callback: DIFFVP_STATUS_REENTRANT. In a program that links the library
 statically and has its own listener of Rust's `tracing`: DIFFVP_STATUS_LOG_TAKEN.
 */
int32_t diffvp_log_set(diffvp_log_callback callback,
                       int32_t max_level,
                       void *user_data,
                       struct diffvp_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DIFFVP_H */
