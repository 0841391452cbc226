// The other translation unit.
#include <diffvp.hpp>

std::string other_unit();

std::string other_unit()
{
    return diffvp_version();
}
