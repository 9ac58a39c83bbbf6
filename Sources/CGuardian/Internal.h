#pragma once

#include "CGuardian.h"

/// Signals as qq found them.
void qq_signals_restore(void);
