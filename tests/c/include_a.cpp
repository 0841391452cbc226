// Both headers twice, in one of two translation units.
#include <diffvp.hpp>
#include <diffvp.h>
#include <diffvp.hpp>

std::string other_unit();

int main()
{
    return other_unit() == diffvp::version() ? 0 : 1;
}
