import QQCore
import Testing

@testable import QQCLI

@Suite struct EveryFlag {
    @Test(arguments: Case.all)
    func isUnderstoodInEachSpelling(of sample: Case) throws {
        for spelling in sample.spellings {
            for flagsLast in [false, true] {
                let parsed = try invocation(sample.line(spelling, flagsLast: flagsLast))
                #expect(parsed.isGiven(sample.flag), "\(spelling)")
                #expect(parsed.command.name == sample.command.name)
            }
        }
    }

    @Test(arguments: Case.all)
    func isNotGivenWhereItIsAbsent(of sample: Case) throws {
        if sample.command.name == "version" { return }
        let parsed = try invocation(sample.line([]))
        #expect(!parsed.isGiven(sample.flag))
    }

    @Test(arguments: Case.all)
    func givenTwiceIsAnErrorUnlessRepeatable(of sample: Case) throws {
        let line = sample.line(sample.spellings[0] + sample.spellings[0])
        if sample.flag.isRepeatable {
            #expect(try invocation(line).isGiven(sample.flag))
        } else {
            #expect(problem(line)?.message == "\(sample.flag.long) given twice")
        }
    }

    @Test(arguments: Case.all.filter { !$0.flag.isSwitch })
    func withValueRefusesAnEmptyOne(of sample: Case) throws {
        #expect(problem(sample.line(["\(sample.flag.long)="]))?.message.hasPrefix("\(sample.flag.long) '': ") == true)
    }

    @Test(arguments: Case.all.filter(\.flag.takesNextWord))
    func withValueSaysWhenItIsMissing(of sample: Case) throws {
        let end = [sample.command.name, sample.flag.long]
        #expect(problem(end) == UsageError("\(sample.flag.long) needs a value", hint: "write \(sample.flag.usage)"))
        let dash = problem([sample.command.name, sample.flag.long, "--json"])
        #expect(dash?.hint == "a value that begins with a dash is written \(sample.flag.long)=--json")
    }

    @Test(arguments: Case.all.filter(\.flag.isSwitch))
    func thatIsASwitchTakesNoValue(of sample: Case) throws {
        #expect(problem(sample.line(["\(sample.flag.long)=yes"]))?.message == "\(sample.flag.long) takes no value")
        #expect(problem(sample.line(["\(sample.flag.long)="]))?.message == "\(sample.flag.long) takes no value")
    }

    @Test(arguments: Flags.global.filter { $0.name != "help" }.map { Case(command: Commands.status, flag: $0) })
    func thatIsGlobalStandsBeforeTheCommandToo(of sample: Case) throws {
        for spelling in sample.spellings { #expect(try invocation(spelling + sample.needed + ["status", "web"]).isGiven(sample.flag)) }
    }

    @Test func ofOneNameHasOneKindEverywhere() {
        for flag in Case.all.map(\.flag) {
            let others = Case.all.map(\.flag).filter { $0.name == flag.name }
            #expect(others.allSatisfy { $0.kind == flag.kind && $0.short == flag.short }, "\(flag.long)")
        }
    }

    @Test(arguments: Commands.all)
    func ofACommandHasItsOwnSpelling(in command: Command) {
        let spellings = command.flags.flatMap(\.spellings)
        #expect(Set(spellings).count == spellings.count)
    }

    @Test(arguments: Case.all)
    func isDescribedInPlainWords(of sample: Case) {
        let flag = sample.flag
        for text in [flag.help, flag.more, flag.defaultText ?? ""] {
            #expect(text.utf8.allSatisfy { $0 == 10 || (32..<127).contains($0) }, "\(text)")
        }
        #expect(!flag.help.hasSuffix("."))
        #expect(flag.more.hasSuffix("."))
    }
}

@Suite struct DefaultsInHelp {
    /// Defaults that are values, not descriptions, can be typed.
    @Test(arguments: [
        "timeout", "hook-timeout", "retries", "backoff", "backoff-factor", "jitter", "max-message", "conflict-exit-code", "format", "color",
        "offset",
    ])
    func areValuesTheFlagTakes(name: String) throws {
        let flag = try #require(Case.all.map(\.flag).first { $0.name == name })
        _ = try flag.read(try #require(flag.defaultText))
    }

    @Test func ofTheTTLAreThoseOfTheSystems() {
        #expect(Flags.ttl.erased.defaultText == "15s, NATS 10s")
        #expect(Defaults.ttl == .seconds(15) && SystemDescription.nats.ttl == .seconds(10))
    }
}
