// The C++ wrapper: exceptions, callbacks that throw, moves. wrapper SCAN PACKAGE
#include <cstdlib>
#include <diffvp.hpp>
#include <iostream>
#include <thread>

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            std::cerr << __FILE__ << ':' << __LINE__ << ": " << #condition << '\n';        \
            std::exit(1);                                                                  \
        }                                                                                  \
    } while (0)

template <class F> std::int32_t status_of(F f)
{
    try {
        f();
    } catch (const diffvp::Error &error) {
        CHECK(std::string(error.what()).size() > 3);
        return error.status();
    }
    return DIFFVP_STATUS_OK;
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    CHECK(status_of([] { diffvp::Scan::open("/nowhere"); }) == DIFFVP_STATUS_NOT_FOUND);
    CHECK(status_of([] { diffvp::Reporter("/nowhere"); }) == DIFFVP_STATUS_NOT_FOUND);
    CHECK(status_of([] { diffvp::Options().random(-1.0f, 0, 1.0f); }) == DIFFVP_STATUS_INVALID_OPTION);
    CHECK(status_of([] { diffvp::Scan::from_dicom({}); }) != DIFFVP_STATUS_OK);

    diffvp::Options options;
    options.threads(1).concurrency(2).seed(3).greedy().reference_index(1).max_new_tokens(24).max_voxels(1 << 20);
    diffvp::Scan first = diffvp::Scan::open(argv[1], &options);
    diffvp::Scan scan = std::move(first);
    CHECK(scan.dims()[2] == 32 && first.get() == nullptr);
    CHECK(status_of([&] { first.dims(); }) == DIFFVP_STATUS_NULL_ARGUMENT);
    CHECK(scan.source_json().find("nifti1") != std::string::npos);

    const diffvp::Reporter reporter(argv[2], &options);
    CHECK(reporter.device() == "cpu" && !reporter.model_id().empty() && !reporter.model_version().empty());
    CHECK(reporter.manifest_json().find("\"format\"") != std::string::npos);

    std::string streamed;
    int stages = 0;
    diffvp::Listener listener;
    listener.on_text = [&](const std::string &text) { streamed += text; return true; };
    listener.on_progress = [&](std::int32_t stage, float) { return stage == stages++; };
    const diffvp::Report report = reporter.report(scan, &options, nullptr, listener);
    CHECK(streamed == report.text() && stages == 6);
    CHECK(report.findings().size() == 18 && report.importance().size() == 16);
    CHECK(report.map().size() == 48 * 48 * 32 && !report.warnings().empty() && !report.intended_use().empty());
    CHECK(report.json().find("diffvp-report/1") != std::string::npos && !report.sections().empty());
    CHECK(report.provenance_json().find("\"reference_index\": 1") != std::string::npos);
    CHECK(report.printed().size() > report.text().size());

    // What a listener throws comes out whole, and the reporter goes on working.
    struct Mine {
        int number;
    };
    listener.on_progress = nullptr;
    listener.on_text = [](const std::string &) -> bool { throw Mine{42}; };
    int caught = 0;
    try {
        reporter.report(scan, &options, nullptr, listener);
    } catch (const Mine &mine) {
        caught = mine.number;
    }
    CHECK(caught == 42);
    listener.on_text = [](const std::string &) { return false; };
    CHECK(status_of([&] { reporter.report(scan, &options, nullptr, listener); }) == DIFFVP_STATUS_CANCELLED);

    const diffvp::Cancel cancel;
    std::thread([&] { cancel.trigger(); }).join();
    CHECK(cancel.is_triggered());
    CHECK(status_of([&] { reporter.report(scan, &options, &cancel); }) == DIFFVP_STATUS_CANCELLED);
    CHECK(status_of([&] { reporter.swap("/nowhere"); }) == DIFFVP_STATUS_NOT_FOUND);
    reporter.swap(argv[2]);
    CHECK(reporter.report(scan, &options).text() == report.text());
    std::cout << "wrapper: all well\n";
    return 0;
}
