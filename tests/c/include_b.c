/* The other translation unit. */
#include <diffvp.h>

int other_unit(void);

int other_unit(void)
{
    return diffvp_version()[0] == '\0';
}
