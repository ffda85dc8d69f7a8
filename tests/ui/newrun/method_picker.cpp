// The method's page: every method that can be chosen is listed, drawn and explained; found and chosen by keys and mouse;
// its published settings are shown before they are taken and go back in one step. In both themes.
#include <QAccessible>
#include <QImage>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPushButton>
#include <QSignalSpy>
#include <QToolButton>
#include <QUndoStack>
#include <QtTest>

#include "core/config/method_texts.h"
#include "core/config/run_config.h"
#include "tests/support/ui_fixture.h"
#include "ui/newrun/method_card.h"
#include "ui/newrun/method_drawing.h"
#include "ui/newrun/method_page.h"
#include "ui/newrun/method_picker.h"
#include "ui/newrun/method_recipes.h"
#include "ui/newrun/rank_slider.h"
#include "ui/newrun/run_draft.h"
#include "ui/newrun/sites_panel.h"

using namespace rankscope;
using namespace rankscope::ui;

namespace {

int pixelsOf(const QImage& image, const QColor& colour) {
  int count = 0;
  for (int y = 0; y < image.height(); ++y)
    for (int x = 0; x < image.width(); ++x) count += image.pixel(x, y) == colour.rgb() ? 1 : 0;
  return count;
}

QImage drawn(const QString& method, qint64 rank, int width) {
  MethodDrawing drawing;
  drawing.resize(width, drawing.sizeHint().height());
  drawing.setMethod(method, rank);
  return drawing.grab().toImage();
}

}  // namespace

class MethodPickerTest : public QObject {
  Q_OBJECT

  QUndoStack m_undo;
  std::unique_ptr<RunDraft> m_draft;
  std::unique_ptr<MethodPage> m_page;

  QListWidget* list() const { return m_page->picker()->list(); }
  QLineEdit* search() const { return m_page->picker()->search(); }
  std::string method() const { return m_draft->config().str("method.name"); }
  QStringList shownMethods() const {
    QStringList names;
    for (int i = 0; i < list()->count(); ++i)
      if (!list()->item(i)->isHidden() && list()->item(i)->flags() != Qt::NoItemFlags) names << list()->item(i)->text();
    return names;
  }
  void clickMethod(const QString& title) {
    const auto found = list()->findItems(title, Qt::MatchExactly);
    QCOMPARE(found.size(), 1);
    list()->scrollToItem(found.front());
    QTest::mouseClick(list()->viewport(), Qt::LeftButton, {}, list()->visualItemRect(found.front()).center());
  }
  static void themes() {
    QTest::addColumn<ThemeMode>("mode");
    QTest::newRow("light") << ThemeMode::Light;
    QTest::newRow("dark") << ThemeMode::Dark;
  }

 private Q_SLOTS:
  void initTestCase() { static rankscope::test::UiFixture installsTheTheme; }
  void init() {
    m_undo.clear();
    m_draft = std::make_unique<RunDraft>(&m_undo);
    m_page = std::make_unique<MethodPage>(m_draft.get());
    m_page->resize(820, 900);
    m_page->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_page.get()));
    m_page->activateWindow();
  }
  void cleanup() {
    m_page.reset();
    m_draft.reset();
    Theme::instance().setMode(ThemeMode::System);
  }

  void everyMethodIsListedOnceUnderItsHeading() {
    QStringList expected;
    for (const auto& choice : findOption("method.name")->choices) expected << QString::fromStdString(choice.title);
    QStringList listed = shownMethods();
    QCOMPARE(QSet<QString>(listed.begin(), listed.end()), QSet<QString>(expected.begin(), expected.end()));
    QCOMPARE(listed.size(), expected.size());
    QVERIFY(list()->item(0)->flags() == Qt::NoItemFlags);  // a heading, not to be chosen
  }

  void everyMethodHasADrawing() {
    for (const auto& choice : findOption("method.name")->choices) {
      const auto* recipe = methodRecipe(QString::fromStdString(choice.value));
      QVERIFY2(recipe, choice.value.c_str());
      const auto marks = static_cast<int>(recipe->marks.size());
      QVERIFY(marks > 0 && !recipe->marks.front().beside);
      for (const Span& span : recipe->spans) {
        QVERIFY2(span.from >= 0 && span.from <= span.to && span.to < marks, choice.value.c_str());
        if (span.kind != Span::Brace) QCOMPARE(recipe->marks[static_cast<size_t>(span.to)].shape, Shape::Sum);
      }
    }
  }

  void drawingsCarryTheThemesColours_data() { themes(); }
  void drawingsCarryTheThemesColours() {
    QFETCH(ThemeMode, mode);
    Theme::instance().setMode(mode);
    const QColor frozen = mixed(ui::palette().field, ui::palette().textMuted, 0.24);
    for (const MethodText& text : methodTexts()) {
      for (const int width : {260, 620}) {
        const QImage image = drawn(text.method, 8, width);
        QVERIFY2(pixelsOf(image, ui::palette().accent) > 60, text.method);
        if (QLatin1String(text.method) != QLatin1String("full")) QVERIFY2(pixelsOf(image, frozen) > 60, text.method);
        // Nothing is cut off at the sides.
        for (int y = 30; y < image.height(); ++y)
          for (const int x : {0, 1, image.width() - 2, image.width() - 1})
            QVERIFY2(image.pixel(x, y) == ui::palette().field.rgb(), text.method);
      }
    }
  }

  void factorsAreAsThickAsTheirRank() {
    int before = 0;
    for (const qint64 rank : {1, 4, 8, 64, 65536}) {
      const int accent = pixelsOf(drawn("lora", rank, 620), ui::palette().accent);
      QVERIFY2(accent > before, qPrintable(QString::number(rank)));
      before = accent;
    }
  }

  void searchingByKeys() {
    search()->setFocus();
    QTest::keyClicks(search(), "geometric mean");
    QCOMPARE(shownMethods(), QStringList{"RefLoRA"});
    QCOMPARE(method(), std::string("lora"));  // looking is not choosing
    QTest::keyClick(search(), Qt::Key_Return);
    QCOMPARE(method(), std::string("reflora"));
    QCOMPARE(QApplication::focusWidget(), list());
    // Typing in the list searches again.
    search()->clear();
    QTest::keyClicks(list(), "h");
    QCOMPARE(QApplication::focusWidget(), search());
    QTest::keyClicks(search(), "ayou");  // an author
    QCOMPARE(shownMethods(), QStringList{"LoRA+"});
    QTest::keyClick(search(), Qt::Key_Down);
    QCOMPARE(method(), std::string("loraplus"));
    search()->setFocus();
    QTest::keyClick(search(), Qt::Key_Escape);
    QVERIFY(search()->text().isEmpty());
    QVERIFY(shownMethods().size() > 10);
    QTest::keyClicks(search(), "no such thing");
    QVERIFY(shownMethods().isEmpty());
    QTest::keyClick(search(), Qt::Key_Return);
    QCOMPARE(method(), std::string("loraplus"));
  }

  void arrowsPassTheHeadings() {
    list()->setFocus();
    clickMethod("LoRA");
    QTest::keyClick(list(), Qt::Key_Down);
    QCOMPARE(method(), std::string("rora"));
    QTest::keyClick(list(), Qt::Key_Up);
    QTest::keyClick(list(), Qt::Key_Up);  // over the heading of the next group
    QVERIFY(method() != "lora");
    QCOMPARE(methodText(method())->group, MethodGroup::Weights);
    QTest::keyClick(list(), Qt::Key_Down);
    QCOMPARE(method(), std::string("lora"));
    QTest::keyClick(list(), Qt::Key_Return);  // on to what comes next
    QVERIFY(QApplication::focusWidget() != list());
    m_undo.undo();
    QCOMPARE(method(), std::string("lora"));
  }

  void theCardFollows() {
    clickMethod("DoRA");
    QCOMPARE(method(), std::string("dora"));
    const auto* drawing = m_page->findChild<MethodDrawing*>("methodDrawing");
    QCOMPARE(drawing->method(), QString("dora"));
    QCOMPARE(m_page->findChild<QLabel*>("methodTitle")->text(), QString("DoRA"));
    QCOMPARE(m_page->findChild<QLabel*>("methodDoes")->text(), QString::fromUtf8(methodText("dora")->does));
    QVERIFY(m_page->findChild<QLabel*>("methodCitation")->text().startsWith("Liu"));
    const QImage before = m_page->findChild<MethodDrawing*>("methodDrawing")->grab().toImage();
    QTest::keyClick(m_page->rank()->findChild<QSlider*>("rankSlider"), Qt::Key_Right);
    QCOMPARE(m_draft->config().integer("method.rank"), int64_t{16});
    QVERIFY(m_page->findChild<MethodDrawing*>("methodDrawing")->grab().toImage() != before);
    m_draft->set("method.name", "full");  // from elsewhere
    QCOMPARE(list()->currentItem()->text(), QString("Full fine-tuning"));
    QVERIFY(m_page->findChild<QLabel*>("methodCitation")->isHidden());
  }

  void costsAreThoseOfTheEstimate() {
    auto* trains = m_page->findChild<QLabel*>("methodTrains");
    QVERIFY(!trains->text().contains("here"));
    RunEstimate estimate;
    estimate.trainable = 71680;
    estimate.parameters = 1.89e6;
    estimate.adapter = estimate.gradients = 286720;
    estimate.optimizer = 573440;
    m_page->setEstimate(estimate);
    QVERIFY2(trains->text().contains(QLocale().toString(71680)) && trains->text().contains(QLocale().toString(3.79, 'f', 2)),
             qPrintable(trains->text()));
    QVERIFY(m_page->findChild<QLabel*>("methodMemory")->text().contains("moments"));
    m_page->setEstimate(std::nullopt);
    QVERIFY(!trains->text().contains("here"));
  }

  void publishedSettingsAreShownTakenAndTakenBack() {
    clickMethod("RefLoRA");
    auto* fold = m_page->findChild<QToolButton*>("publishedFold");
    QVERIFY(fold->isVisible());
    fold->setFocus();
    QTest::keyClick(fold, Qt::Key_Space);
    auto* changes = m_page->findChild<QLabel*>("changes:reflora-llama");
    auto* use = m_page->findChild<QPushButton*>("use:reflora-llama");
    QTRY_VERIFY(changes->isVisible());
    QVERIFY2(changes->text().contains(QString::fromUtf8("Rank 8 → <b>32</b>")), qPrintable(changes->text()));
    QVERIFY(!changes->text().contains("Dropout 0.05"));
    QCOMPARE(m_draft->config().integer("method.rank"), int64_t{8});  // shown, not done
    const RunConfig before = m_draft->config();
    use->setFocus();
    QTest::keyClick(use, Qt::Key_Space);
    QCOMPARE(m_draft->config().integer("method.rank"), int64_t{32});
    QCOMPARE(m_draft->config().real("optim.learning_rate"), 2e-4);
    QCOMPARE(m_draft->config().integer("data.max_length"), int64_t{256});
    QVERIFY(!use->isEnabled());
    m_undo.undo();
    QVERIFY(m_draft->config() == before);
    QVERIFY(use->isEnabled());
    QTest::mouseClick(use, Qt::LeftButton);
    QCOMPARE(m_draft->config().integer("method.rank"), int64_t{32});
    clickMethod("RefLoRA-S");
    QVERIFY(!fold->isVisible());  // nothing published for it
  }

  void settingsForAnotherModelsMatricesAreLeftOut() {
    ModelDetails model;
    model.sites = {{"layers.0.attn.c_attn", "c_attn", 0, 192, 64}};
    model.defaultTargets = {"c_attn"};
    m_page->sites()->setModel(model);
    clickMethod("NoRA");
    QTest::mouseClick(m_page->findChild<QToolButton*>("publishedFold"), Qt::LeftButton);
    auto* changes = m_page->findChild<QLabel*>("changes:nora-llama");
    QTRY_VERIFY(changes->isVisible());
    QVERIFY2(changes->text().contains("this model has no q_proj"), qPrintable(changes->text()));
    QTest::mouseClick(m_page->findChild<QPushButton*>("use:nora-llama"), Qt::LeftButton);
    QCOMPARE(m_draft->config().integer("method.rank"), int64_t{32});
    QVERIFY(m_draft->config().list("method.target_modules").empty());
  }

  void whatIsFromMemorySaysSo() {
    clickMethod("QLoRA");
    const auto* changes = m_page->findChild<QLabel*>("changes:qlora-paper");
    QVERIFY(changes && changes->text().contains("From memory"));
    clickMethod("LoRA-Pro");
    QVERIFY(!m_page->findChild<QLabel*>("changes:lorapro-llama")->text().contains("From memory"));
  }

  void everythingHasANameAndDescription_data() { themes(); }
  void everythingHasANameAndDescription() {
    QFETCH(ThemeMode, mode);
    Theme::instance().setMode(mode);
    clickMethod("PiSSA");
    m_page->findChild<QToolButton*>("publishedFold")->setChecked(true);
    QCOMPARE(rankscope::test::unnamedControls(m_page.get()), QStringList());
    auto* item = list()->currentItem();
    QVERIFY(item->data(Qt::AccessibleDescriptionRole).toString().contains("singular"));
    auto* face = QAccessible::queryAccessibleInterface(m_page->findChild<MethodDrawing*>("methodDrawing"));
    QVERIFY(face && face->text(QAccessible::Name).contains("PiSSA") && face->text(QAccessible::Description).contains("triplets"));
    QVERIFY(!m_page->findChild<QPushButton*>("use:pissa-paper")->accessibleDescription().isEmpty());
  }

  // In a narrow window the card goes below the list, and nothing is cut off at the side.
  void narrowWindowsStack() {
    const auto* card = m_page->findChild<MethodCard*>("methodCard");
    QTRY_VERIFY(card->mapTo(m_page.get(), QPoint()).x() > list()->width());
    m_page->resize(400, 700);
    QTRY_VERIFY(card->mapTo(m_page.get(), QPoint()).y() > list()->height());
    QTRY_VERIFY(card->mapTo(m_page.get(), QPoint(card->width(), 0)).x() <= m_page->width());
  }

  // By Tab the button in the card comes where it is seen: after the list beside it, after the settings below them.
  void tabReachesTheCardWhereItStands_data() {
    QTest::addColumn<int>("width");
    QTest::newRow("wide") << 1000;
    QTest::newRow("narrow") << 400;
  }
  void tabReachesTheCardWhereItStands() {
    QFETCH(int, width);
    m_page->resize(width, 900);
    m_draft->set("method.name", std::string("dora"));
    auto* revert = m_page->findChild<QWidget*>("revert:method.name");
    auto* rank = m_page->findChild<RankSlider*>()->edit();
    QTRY_VERIFY(revert->isVisible() && rank->isVisible());
    list()->setFocus();
    int revertAt = -1, rankAt = -1;
    for (int tabs = 0; tabs < 60 && (revertAt < 0 || rankAt < 0); ++tabs) {
      if (QApplication::focusWidget() == revert) revertAt = tabs;
      if (QApplication::focusWidget() == rank) rankAt = tabs;
      QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
    }
    QVERIFY(revertAt >= 0 && rankAt >= 0);
    QCOMPARE(revertAt < rankAt, width == 1000);
  }
};

QTEST_MAIN(MethodPickerTest)
#include "method_picker.moc"
