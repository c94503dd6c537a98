"""What the Hugging Face hub answers, as errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hanmo.core.errors import HanmoError

__all__ = ["hub_errors"]


@contextmanager
def hub_errors(
    raised: type[HanmoError], repository: str, *, where: str, what: str = "repository", is_path: bool = False
) -> Iterator[None]:
    """Fetch something of a repository here: what goes wrong becomes an error of a type of ours.

    Args:
        raised: the type.
        repository: its name, "org/name".
        where: what the error names.
        what: "repository" or "dataset".
        is_path: the name could have been that of a folder here.

    Raises:
        HanmoError: of the type `raised`, if access must be asked for; if there is no such repository, or revision of it; or if it is
            neither in the cache nor to be fetched.
    """
    import huggingface_hub
    from huggingface_hub import errors

    constants = huggingface_hub.constants
    kind = " --repo-type dataset" if what == "dataset" else ""
    page = f"https://huggingface.co/{'datasets/' * (what == 'dataset')}{repository}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise raised(
            f"access to this {what} must be asked for", where=where,
            remedy=f"Ask for it at {page}, then set HF_TOKEN or run `hf auth login`.",
        ) from error  # fmt: skip
    except errors.RepositoryNotFoundError as error:
        nowhere = "there is no such folder, and no such" if is_path else "there is no such"
        raise raised(
            f"{nowhere} {what} on the hub (or it is private)", where=where,
            remedy=f"Check the spelling; for a private {what} set HF_TOKEN or run `hf auth login`.",
        ) from error  # fmt: skip
    except errors.RevisionNotFoundError as error:
        raise raised(f"this {what} has no such revision", where=where) from error
    except errors.EntryNotFoundError as error:
        offline = "HF_HUB_OFFLINE forbids fetching it" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
        raise raised(
            f"{'there is no such folder, and ' * is_path}this {what} is not in the local cache, and {offline}",
            where=where,
            remedy=f"Where there is a network, run `HF_HUB_OFFLINE=0 hf download{kind} {repository}` and copy the cache "
            f"({constants.HF_HUB_CACHE}) or the folder that it prints; then give that folder.",
        ) from error
    except HanmoError:
        raise
    except (OSError, ValueError, errors.HfHubHTTPError) as error:
        reason = str(error).partition("\n")[0]
        raise raised(f"this {what} could not be fetched ({reason})", where=where, remedy="Try again.") from error
