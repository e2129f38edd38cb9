"""Open pages in Chromium and take pictures of them. Reads from standard input, as JSON, a list of visits:

url         the page, with the login in it
wait        CSS selector of what must be there before the page counts as loaded
picture     file to write
text        CSS selector of the elements whose texts are the answer

Writes, as JSON, a list of lists of texts.
"""

import json
import sys

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 30


def visit(browser, order):
    """Open one page and return the texts that were asked for."""
    browser.get(order["url"])
    ready = expected_conditions.presence_of_element_located((By.CSS_SELECTOR, order["wait"]))
    WebDriverWait(browser, SECONDS).until(ready)
    browser.save_screenshot(order["picture"])
    return [element.text for element in browser.find_elements(By.CSS_SELECTOR, order["text"])]


def main():
    """Make all visits in one browser."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("acceptInsecureCerts", True)
    browser = webdriver.Chrome(options=options)
    try:
        print(json.dumps([visit(browser, order) for order in json.load(sys.stdin)]))
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
