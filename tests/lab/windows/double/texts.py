"""Messages of cmd.exe and of the small programs, in the language of this Windows."""

from . import home

TEXTS = {
    "too_long": ("The command line is too long.", "La ligne de commande est trop longue."),
    "unknown": (
        "'{0}' is not recognized as an internal or external command,\noperable program or batch file.",
        "'{0}' n’est pas reconnu en tant que commande interne\nou externe, un programme exécutable ou un fichier de commandes.",
    ),
    "no_path": ("The system cannot find the path specified.", "Le chemin d’accès spécifié est introuvable."),
    "no_file": ("The system cannot find the file specified.", "Le fichier spécifié est introuvable."),
    "syntax": ("The syntax of the command is incorrect.", "La syntaxe de la commande n’est pas correcte."),
    "denied": ("Access is denied.", "Accès refusé."),
    "bad_parameter": ('Invalid parameter "{0}"', "Paramètre non valide « {0} »"),
}


def is_french() -> bool:
    """True for a French Windows."""
    return str(home.knobs()["culture"]).lower().startswith("fr")


def text(key: str, *values: object) -> str:
    """A message by name, with its values filled in."""
    english, french = TEXTS[key]
    return (french if is_french() else english).format(*values)
