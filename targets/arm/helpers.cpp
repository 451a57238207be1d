#include "targets/arm/helpers.h"

#include "targets/arm/fp_helpers.h"
#include "targets/arm/half.h"
#include "targets/arm/system.h"

namespace hindcast::arm {

const Helpers& helpers() {
  static const Helpers registered = {
      .undefined = register_helper("arm.undefined", &undefined_helper),
      .invalid_state = register_helper("arm.invalid_state", &invalid_state_helper),
      .unaligned = register_helper("arm.unaligned", &unaligned_helper),
      .div_by_zero = register_helper("arm.div_by_zero", &div_by_zero_helper),
      .stack_limit = register_helper("arm.stack_limit", &stack_limit_helper),
      .no_coprocessor = register_helper("arm.no_coprocessor", &no_coprocessor_helper),
      .check_unprivileged = register_helper("arm.check_unprivileged", &check_unprivileged_helper),
      .svc = register_helper("arm.svc", &svc_helper),
      .bkpt = register_helper("arm.bkpt", &bkpt_helper),
      .cps = register_helper("arm.cps", &cps_helper),
      .mrs = register_helper("arm.mrs", &mrs_helper),
      .msr = register_helper("arm.msr", &msr_helper),
      .wfe = register_helper("arm.wfe", &wfe_helper),
      .wfi = register_helper("arm.wfi", &wfi_helper),
      .test_target = register_helper("arm.test_target", &tt_helper),
      .branch_non_secure = register_helper("arm.branch_non_secure", &branch_non_secure_helper),
      .call_non_secure = register_helper("arm.call_non_secure", &call_non_secure_helper),
      .fp_activate = register_helper("arm.fp_activate", &fp_activate_helper),
      .lazy_store = register_helper("arm.lazy_store", &lazy_store_helper),
      .lazy_load = register_helper("arm.lazy_load", &lazy_load_helper),
      .read_fpscr = register_helper("arm.read_fpscr", &read_fpscr_helper),
      .write_fpscr = register_helper("arm.write_fpscr", &write_fpscr_helper),
      .check_fp_register = register_helper("arm.check_fp_register", &check_fp_register_helper),
      .read_fp_register = register_helper("arm.read_fp_register", &read_fp_register_helper),
      .fp_register_read = register_helper("arm.fp_register_read", &fp_register_read_helper),
      .write_fp_register = register_helper("arm.write_fp_register", &write_fp_register_helper),
      .half_arith = register_helper("arm.half_arith", &half_arith_helper),
      .clear_floats = register_helper("arm.clear_floats", &clear_floats_helper),
      .from_fixed = register_helper("arm.from_fixed", &from_fixed_helper),
      .to_fixed = register_helper("arm.to_fixed", &to_fixed_helper),
      .round_integral = register_helper("arm.round_integral", &round_integral_helper),
      .half = register_helper("arm.half", &half_helper),
  };
  return registered;
}

}  // namespace hindcast::arm
