/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

TCase *threads_case(void)
{
	return index_case("threads");
}
