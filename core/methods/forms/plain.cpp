#include "core/methods/forms/plain.h"

#include "core/methods/lora_adapter.h"

namespace rankscope {

namespace {

class PlainForm final : public SiteForm {
 public:
  std::shared_ptr<SiteAdapter> adapter(const AdaptedSite& adapted, double dropout) const override {
    return std::make_shared<LoraAdapter>(LowRankTerm{adapted.a, adapted.b, adapted.scaling, dropout});
  }
};

}  // namespace

Result<std::unique_ptr<SiteForm>> makePlainForm(const MethodSettings&) { return newPart<SiteForm, PlainForm>(); }

}  // namespace rankscope
