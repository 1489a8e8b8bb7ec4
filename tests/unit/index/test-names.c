/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

TCase *names_case(void)
{
	return index_case("names");
}
