import pytest
pytestmark = pytest.mark.browser
def test_x(hub, browser):
    page = browser.open("ada", "/incidents")
    assert page.locator("tr[data-row]").count() > 20
    page = browser.open("root", "/people")
    assert "Ada" in page.content()
