/* The header twice, in one of two translation units. */
#include <diffvp.h>
#include <diffvp.h>

int other_unit(void);

int main(void)
{
    return diffvp_abi_version() == DIFFVP_ABI_VERSION ? other_unit() : 1;
}
