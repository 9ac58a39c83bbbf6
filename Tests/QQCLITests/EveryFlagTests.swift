import QQCore
import Testing

@testable import QQCLI

@Suite("Flags of every command") struct EveryFlag {
    @Test("a flag is understood in each spelling", arguments: Case.all)
    func spellings(of sample: Case) throws {
        for spelling in sample.spellings {
            for flagsLast in [false, true] {
                let parsed = try invocation(sample.line(spelling, flagsLast: flagsLast))
                #expect(parsed.isGiven(sample.flag), "\(spelling)")
                #expect(parsed.command.name == sample.command.name)
            }
        }
    }

    @Test("a flag that is absent counts as not given", arguments: Case.all)
    func absent(of sample: Case) throws {
        let parsed = try invocation(sample.line([]))
        #expect(!parsed.isGiven(sample.flag))
    }

    @Test("a flag given twice is an error unless it is repeatable", arguments: Case.all)
    func givenTwice(of sample: Case) throws {
        let line = sample.line(sample.spellings[0] + sample.spellings[0])
        if sample.flag.isRepeatable {
            #expect(try invocation(line).isGiven(sample.flag))
        } else {
            #expect(problem(line)?.message == "\(sample.flag.long) given twice")
        }
    }

    @Test("a flag with a value refuses an empty one", arguments: Case.all.filter { !$0.flag.isSwitch })
    func emptyValue(of sample: Case) throws {
        #expect(problem(sample.line(["\(sample.flag.long)="]))?.message.hasPrefix("\(sample.flag.long) '': ") == true)
    }

    @Test("a flag whose value is missing is an error with a hint", arguments: Case.all.filter(\.flag.takesNextWord))
    func missingValue(of sample: Case) throws {
        let end = [sample.command.name, sample.flag.long]
        #expect(problem(end) == UsageError("\(sample.flag.long) needs a value", hint: "write \(sample.flag.usage)"))
        let dash = problem([sample.command.name, sample.flag.long, "--json"])
        #expect(dash?.hint == "a value that begins with a dash is written \(sample.flag.long)=--json")
    }

    @Test("a switch takes no value", arguments: Case.all.filter(\.flag.isSwitch))
    func switchWithValue(of sample: Case) throws {
        #expect(problem(sample.line(["\(sample.flag.long)=yes"]))?.message == "\(sample.flag.long) takes no value")
        #expect(problem(sample.line(["\(sample.flag.long)="]))?.message == "\(sample.flag.long) takes no value")
    }

    @Test(
        "a global flag can also come before the command",
        arguments: Flags.global.filter { $0.name != "help" }.map { Case(command: Commands.status, flag: $0) })
    func globalFlag(of sample: Case) throws {
        for spelling in sample.spellings { #expect(try invocation(spelling + sample.needed + ["status", "web"]).isGiven(sample.flag)) }
    }

    @Test("flags with one name have one kind and one short form in all commands") func sameKind() {
        for flag in Case.all.map(\.flag) {
            let others = Case.all.map(\.flag).filter { $0.name == flag.name }
            #expect(others.allSatisfy { $0.kind == flag.kind && $0.short == flag.short }, "\(flag.long)")
        }
    }

    @Test("the flags of a command have different spellings", arguments: Commands.all)
    func differentSpellings(in command: Command) {
        let spellings = command.flags.flatMap(\.spellings)
        #expect(Set(spellings).count == spellings.count)
    }

    @Test("a flag is described in ASCII, in short without a full stop and at length with one", arguments: Case.all)
    func description(of sample: Case) {
        let flag = sample.flag
        for text in [flag.help, flag.more, flag.defaultText ?? ""] {
            #expect(text.utf8.allSatisfy { $0 == 10 || (32..<127).contains($0) }, "\(text)")
        }
        #expect(!flag.help.hasSuffix("."))
        #expect(flag.more.hasSuffix("."))
    }
}

@Suite("Defaults in help") struct DefaultsInHelp {
    /// Defaults that are values rather than descriptions can be typed.
    @Test(
        "a default in help is a value that the flag takes",
        arguments: [
            "timeout", "hook-timeout", "retries", "backoff", "backoff-factor", "jitter", "max-message", "conflict-exit-code", "format",
            "color",
            "offset",
        ])
    func defaults(name: String) throws {
        let flag = try #require(Case.all.map(\.flag).first { $0.name == name })
        _ = try flag.read(try #require(flag.defaultText))
    }

    @Test("the default TTLs in help are those of the systems") func defaultTTLs() {
        #expect(Flags.ttl.erased.defaultText == "15s, NATS 10s")
        #expect(Defaults.ttl == .seconds(15) && SystemDescription.nats.connector.ttl == .seconds(10))
    }
}
