import Glibc
import Support
import Testing

@Suite("Line editing in a session")
struct EditingTests {
    @Test("the usual keys edit the line")
    func keys() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            let terminal = person.terminal
            try await terminal.type("staus wex")
            try await terminal.press("BSpace", "C-a", "Right", "Right", "Right")
            try await terminal.type("t")
            try await terminal.expectLast("file> status we")
            try await terminal.press("C-e")
            try await terminal.type("b2")
            try await terminal.press("Left", "DC")
            try await terminal.expectLast("file> status web")
            try await terminal.press("Enter")
            try await terminal.expect("nobody")
            try await person.isBack()
            try await terminal.type("leases and more")
            try await terminal.press("C-a", "M-f", "C-k", "Enter")
            try await terminal.expect("this session holds nothing")
            try await person.leave()
        }
    }

    @Test("a line can contain letters of any script")
    func letters() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.terminal.type("status wéb-日本")
            try await person.terminal.press("BSpace", "C-a", "M-f", "Right", "Right", "DC")
            try await person.terminal.expectLast("file> status wb-日")
            try await person.terminal.press("C-c")
            try await person.isBack()
            try await person.leave()
        }
    }

    @Test("the arrow keys and Ctrl-R bring lines back from the history")
    func history() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            let terminal = person.terminal
            try await person.run("status first", "first")
            try await person.run("status second", "second")
            try await terminal.press("Up")
            try await terminal.expectLast("file> status second")
            try await terminal.press("Up")
            try await terminal.expectLast("file> status first")
            try await terminal.press("Down", "Down")
            try await terminal.expectLast("file>")
            try await terminal.press("C-r")
            try await terminal.type("fir")
            try await terminal.expect("(reverse-i-search)`fir': status first")
            try await terminal.press("Enter")
            try await terminal.expectGone("reverse-i-search")
            try await person.isBack()
            try await person.run("history", "3  status first")
            try await person.leave()
        }
    }

    @Test("several pasted lines run line by line, and only after Enter")
    func paste() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.terminal.paste("acquire web\nacquire api\nleases")
            try await person.terminal.expect("acquire api")
            #expect(box.holder("web").isEmpty)
            try await person.terminal.press("Enter")
            try await person.terminal.expect("web  for ")
            #expect(!box.holder("web").isEmpty && !box.holder("api").isEmpty)
            try await person.isBack()
            try await person.leave()
        }
    }

    @Test("a line can be longer than the terminal is wide, even while the width changes")
    func resize() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box, columns: 40)
            let name = "an-election-with-a-name-that-is-longer-than-a-narrow-terminal"
            try await person.terminal.type("acquire \(name)")
            try await person.terminal.expect("narrow-terminal")
            try await person.terminal.resize(columns: 20)
            try await person.terminal.type("-1")
            try await person.terminal.resize(columns: 60)
            try await person.terminal.type("2")
            try await person.terminal.press("C-a", "C-e", "BSpace")
            try await person.terminal.expect("narrow-terminal-1")
            try await person.terminal.press("Enter")
            try await waitUntil("the whole name was read") { !box.holder(name + "-1").isEmpty }
            try await person.isBack()
            try await person.leave()
        }
    }

    @Test("a change of width does not erase what is above the line")
    func resizeBelowOthers() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box, columns: 40)
            let terminal = person.terminal
            try await person.run("status one", "nobody")
            try await person.run("jobs", "nothing runs in the background")
            let line = "status a-name-that-is-longer-than-a-narrow-terminal"
            try await terminal.type(line)
            for columns in [90, 30, 100, 20, 40] {
                try await terminal.resize(columns: columns)
                // The editor learns the new width before the next key.
                try await terminal.type("x")
                try await terminal.expectLast("file> " + line + "x")
                try await terminal.press("BSpace")
                let screen = try await terminal.expectLast("file> " + line)
                #expect(screen.contains("nothing runs in the background"), "\(columns): \(screen)")
                #expect(screen.components(of: "status a-name") == 1, "\(columns): \(screen)")
            }
            try await terminal.press("C-c")
            try await person.isBack()
            try await person.leave()
        }
    }

    @Test("a line can be edited on twenty columns")
    func narrow() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box, columns: 20)
            let terminal = person.terminal
            try await terminal.type("status one-election and-another-one")
            try await terminal.press("C-a", "M-f", "M-f")
            try await terminal.type("-more")
            try await terminal.wait(for: "the line as it was edited", isJoined: true, isWhole: true) { screen in
                screen.filter { $0 != "\n" }.contains("file> status one-more-election and-another-one")
            }
            try await terminal.press("C-a", "C-k")
            try await terminal.expectLast("file>")
            try await person.leave()
        }
    }

    @Test("a line can be edited on a dumb terminal")
    func dumb() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box, environment: ["TERM": "dumb"])
            try await person.run("acquire web --id me", "acquired web")
            try await person.terminal.type("status wex")
            try await person.terminal.press("BSpace")
            try await person.terminal.type("b")
            #expect(try await box.run("release", "web").code == 0)
            try await person.terminal.expect("web: lost")
            try await person.terminal.press("Enter")
            try await person.terminal.expect("nobody")
            #expect(try await !person.terminal.screen(isWhole: true).contains("[?2004"))
            try await person.isBack()
            try await person.leave()
        }
    }
}
