/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

TCase *damage_case(void)
{
	return index_case("damage");
}
