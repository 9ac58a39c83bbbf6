import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("The commit in the binary") struct CommitTests {
    static let hasGit = system("git --version >/dev/null 2>&1") == 0

    /// A repository with Scripts/commit and Sources/CVersion, whose program prints the commit that it was linked with.
    private static let script = #"""
        set -eu
        mkdir -p copy/Scripts copy/Sources && cd copy
        cp "$1/Scripts/commit" Scripts && cp -r "$1/Sources/CVersion" Sources
        cat >main.c <<'END'
        #include <stdio.h>
        #include "CVersion.h"
        int main(void) { puts(qq_commit() ? qq_commit() : "unknown"); return 0; }
        END
        show() {
            cc -D_Nullable= -ISources/CVersion/include main.c Sources/CVersion/Commit.c $(Scripts/commit "$PWD/../objects") -o ../program
            ../program
        }
        show
        git init -q . && git add . && git -c user.name=x -c user.email=x@example.org commit -q -m x
        show
        git rev-parse HEAD
        show
        ls ../objects | wc -l
        echo '// changed' >>main.c
        show
        """#

    @Test("it is known in a clone, marked if something has changed, and unknown elsewhere", .enabled(if: hasGit, "git is not here"))
    func commit() async throws {
        try await inSandbox { box in
            let run = try await box.start(["sh", "-c", Self.script, "sh", Repository.top]).finish()
            try #require(run.code == 0 && run.lines.count == 6, "\(run.text) \(run.errors)")
            let commit = run.lines[2]
            #expect(commit.wholeMatch(of: /[0-9a-f]{40}/) != nil)
            // The second time it is linked with the same file.
            #expect(run.lines == ["unknown", commit, commit, commit, "1", commit + "-dirty"])
        }
    }

    @Test("qq version --json is one object with version, commit and systems") func json() async throws {
        try await inSandbox { box in
            let run = try await box.run("version", "--json")
            #expect(run.code == 0, "\(run.errors)")
            try checkSchema(run.text, Schemas.version)
            let answer = try object(run.text)
            #expect(answer["version"]?.stringValue == version)
            let commit = answer["commit"]
            #expect(commit == .null || commit?.stringValue?.wholeMatch(of: /[0-9a-f]{40}(-dirty)?/) != nil)
            let systems = (answer["systems"]?.arrayValue ?? []).compactMap(\.objectValue)
            #expect(systems.count == Systems.builtIn.count)
            for system in systems { #expect(schemaProblems(system, Schemas.testedSystem) == []) }

            let plain = try await box.run("version")
            #expect(plain.text.hasPrefix("qq \(version)") && plain.text.contains("(") == (commit != .null))
            #expect(try await box.run("--version").text == plain.text)
        }
    }
}
