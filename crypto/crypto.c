/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crypto.h"
