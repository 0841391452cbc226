// A report as it is written, in C++11: report SCAN PACKAGE
//
//   c++ -std=c++11 report.cpp $(pkg-config --cflags --libs diffvp) -o report
#include <algorithm>
#include <diffvp.hpp>
#include <iostream>

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::cerr << "usage: " << argv[0] << " SCAN PACKAGE\n";
        return 2;
    }
    try {
        diffvp::Options options;
        options.threads(2).seed(7);
        const diffvp::Reporter reporter(argv[2], &options);
        const diffvp::Scan scan = diffvp::Scan::open(argv[1], &options);
        std::cerr << reporter.model_id() << " on " << reporter.device() << '\n';

        diffvp::Listener listener;
        listener.on_text = [](const std::string &text) { return static_cast<bool>(std::cout << text << std::flush); };
        const diffvp::Report report = reporter.report(scan, &options, nullptr, listener);
        std::cout << '\n';

        for (const diffvp::Finding &finding : report.findings())
            if (finding.present)
                std::cout << "finding: " << finding.name << " (" << 100.0f * finding.probability << " %)\n";
        const std::vector<float> map = report.map();
        std::cout << "difference map: " << map.size() << " values, highest "
                  << *std::max_element(map.begin(), map.end()) << '\n';
        for (const diffvp::Warning &warning : report.warnings())
            std::cout << "note: " << warning.message << '\n';
        std::cout << report.intended_use() << '\n';
        return 0;
    } catch (const diffvp::Error &error) {
        std::cerr << error.name() << ": " << error.what() << '\n';
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
    }
    return 1;
}
