"""The forms of the site."""

from django import forms

from .models import AGES, CATEGORIES


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
