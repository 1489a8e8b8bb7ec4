/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

TCase *feed_case(void)
{
	return index_case("feed");
}
