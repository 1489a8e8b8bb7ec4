/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

TCase *many_case(void)
{
	return index_case("many");
}
