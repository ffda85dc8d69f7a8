#include "tests/golden/pair_model.h"

namespace rankscope::golden {

PairModel::PairModel(const std::vector<Shape>& shapes, at::ScalarType dtype) {
  m_dtype = dtype;
  for (const Shape& shape : shapes) {
    auto site = std::make_unique<LinearSite>();
    site->name = shape.name;
    site->kind = shape.name.substr(shape.name.rfind('.') + 1);
    site->outFeatures = shape.out;
    site->inFeatures = shape.in;
    m_parameters.add(shape.name + ".weight", at::zeros({shape.out, shape.in}, dtype));
    m_sites.push_back(site.get());
    m_owned.push_back(std::move(site));
  }
  rebind();
}

void PairModel::rebind() {
  for (const auto& site : m_owned) site->weight = m_parameters.at(site->name + ".weight");
}

}  // namespace rankscope::golden
