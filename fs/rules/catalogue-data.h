/* SPDX-License-Identifier: Apache-2.0 */
/* Private to catalogue.c and what make-catalogue.c writes: data/ as tables. */
#ifndef COF_CATALOGUE_DATA_H
#define COF_CATALOGUE_DATA_H

#include "fs/rules/catalogue.h"

extern const struct cof_catalogue_kind cof_catalogue_data[];
extern const size_t cof_catalogue_n;
extern const struct cof_record_kind cof_records_data[];
extern const size_t cof_records_n;

#endif
