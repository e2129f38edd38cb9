"""The forms of the site."""

from django import forms
from django.conf import settings
from django.utils.crypto import constant_time_compare
from django.utils.text import slugify

from . import catalogue
from .models import AGES, CATEGORIES, Game

# What may not become of a title: nothing, or the address of another page.
RESERVED_SLUGS = {"", "add"}


class BrowseForm(forms.Form):
    """The query string of the browse page. An empty value means any."""

    age = forms.TypedChoiceField(
        label="Youngest player",
        choices=[("", "Any age"), *((age, f"{age} years") for age in AGES)],
        coerce=int,
        empty_value=None,
        required=False,
    )
    category = forms.ChoiceField(label="Kind", choices=[("", "All games"), *CATEGORIES.items()], required=False)
    page = forms.IntegerField(min_value=1, required=False, widget=forms.HiddenInput)


class SearchForm(BrowseForm):
    """The query string of the search page: words, and the filters of the browse page."""

    q = forms.CharField(label="Search for a game", max_length=100, required=False)


class ReviewForm(forms.Form):
    rating = forms.TypedChoiceField(
        label="Your rating",
        choices=[(stars, f"{stars} star{'s' if stars > 1 else ''}") for stars in range(5, 0, -1)],
        coerce=int,
        widget=forms.RadioSelect,
    )
    name = forms.CharField(
        label="Your name",
        help_text="Shown with your review, up to 40 characters.",
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "nickname"}),
    )
    text = forms.CharField(
        label="Your review",
        help_text="What did your family like? 10 to 2,000 characters.",
        min_length=10,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 6}),
    )


class GameForm(forms.Form):
    """A game that a visitor adds. Its slug comes from its title."""

    title = forms.CharField(label="Title", max_length=80)
    summary = forms.CharField(label="In one sentence", help_text="Up to 200 characters.", max_length=200)
    description = forms.CharField(
        label="How it is played",
        help_text="Up to 2,000 characters.",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 6}),
    )
    categories = forms.MultipleChoiceField(
        label="Kinds", choices=list(CATEGORIES.items()), widget=forms.CheckboxSelectMultiple
    )
    min_age = forms.IntegerField(label="Youngest player, in years", min_value=2, max_value=18)
    min_players = forms.IntegerField(label="Players, at least", min_value=1, max_value=99)
    max_players = forms.IntegerField(label="Players, at most", min_value=1, max_value=99)
    minutes = forms.IntegerField(label="Minutes that a game takes", min_value=1, max_value=600)
    year = forms.IntegerField(label="Year in which it appeared", min_value=1900, max_value=2100)

    def clean_title(self):
        title = self.cleaned_data["title"]
        if slugify(title) in RESERVED_SLUGS:
            raise forms.ValidationError(
                "Please choose another title: the address of the game is made of its letters a to z and its digits."
            )
        return title

    def clean(self):
        fields = super().clean()
        if fields.get("min_players", 0) > fields.get("max_players", 99):
            self.add_error("max_players", "This is fewer than the players at least.")
        return fields

    def game(self):
        """The game that the form describes, not saved."""
        return Game(slug=slugify(self.cleaned_data["title"])[:80].strip("-"), **self.cleaned_data)


class ImportForm(forms.Form):
    file = forms.FileField(
        label="Catalogue file",
        help_text=f"A JSON list of up to {settings.IMPORT_MAX_GAMES:,} games, with the fields that load_games takes.",
        widget=forms.FileInput(attrs={"accept": "application/json,.json"}),
        error_messages={"required": f"Please choose a file of less than {settings.IMPORT_MAX_BYTES // 1024**2} MiB."},
    )
    password = forms.CharField(label="Password", strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "off"}))

    def clean_password(self):
        if not constant_time_compare(self.cleaned_data["password"], settings.IMPORT_PASSWORD):
            raise forms.ValidationError("This is not the password.")

    def clean_file(self):
        """The content of the file, in which the games aren't checked yet."""
        try:
            content = self.cleaned_data["file"].read().decode("utf-8")
            entries = catalogue.parse(content)
        except ValueError as error:
            raise forms.ValidationError(f"This is no catalogue: {error}") from error
        if len(entries) > settings.IMPORT_MAX_GAMES:
            raise forms.ValidationError(f"{len(entries):,} games are too many; {settings.IMPORT_MAX_GAMES:,} may be.")
        return content
