/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/io/io.h"
