import QQCore
import Testing

import struct LeaderElection.BackoffRange

@testable import QQCLI

@Suite("Flag values") struct FlagValues {
    @Test("--wait without a duration waits forever") func waitForever() throws {
        #expect(try invocation("acquire x --wait")[Flags.wait] == .forever)
        #expect(try invocation("acquire x --wait -- true")[Flags.wait] == .forever)
    }

    @Test("--wait takes a duration after =") func waitWithDuration() throws {
        #expect(try invocation("acquire x --wait=5m")[Flags.wait] == .atMost(.seconds(300)))
        #expect(try invocation("acquire x --wait=0s")[Flags.wait] == .atMost(.zero))
    }

    @Test("--note takes a printable line of up to 256 bytes") func note() throws {
        for text in ["n", "build 417, by Ann", String(repeating: "é", count: 128)] {
            #expect(try invocation(["acquire", "x", "--note", text])[Flags.note] == text)
        }
        for text in ["", "two\nlines", "a\u{1b}[31m", "turned\u{202e}", String(repeating: "é", count: 129)] {
            let error = try #require(problem(["keepalive", "x", "--note=\(text)"]))
            #expect(error.message.hasPrefix("--note '") && error.message.contains("a note "), "\(error.message)")
        }
        #expect(problem("status x --note n") != nil && problem("keepalive x --once --note n") != nil)
    }

    @Test("--wait of step-down is a duration") func waitOfStepDown() throws {
        #expect(try invocation("step-down x --wait 5s")[Flags.stepDownWait] == .seconds(5))
    }

    @Test(
        "durations are read with their units",
        arguments: [
            ("500ms", Duration.milliseconds(500)), ("15s", .seconds(15)), ("2m", .seconds(120)), ("1h30m", .seconds(5400)),
        ])
    func durationsHaveUnits(text: String, duration: Duration) throws {
        #expect(try invocation("acquire x --ttl \(text)")[Flags.ttl] == duration)
    }

    @Test("a malformed duration is refused with a hint", arguments: ["15", "-5s", "5x", "s", "1m1h", "1.5.5s"])
    func malformedDuration(text: String) throws {
        let error = try #require(problem("acquire x --ttl=\(text)"))
        #expect(error.message.hasPrefix("--ttl '\(text)': not a duration: "))
        #expect(error.hint == "write it with units, such as 500ms, 15s, 2m or 1h30m")
    }

    @Test(
        "a duration of zero is refused for TTLs, intervals and limits",
        arguments: ["acquire x --ttl 0s", "acquire x --renew-every 0s -- a", "status --timeout 0s", "watch x --for 0s"])
    func zeroDuration(line: String) {
        #expect(problem(line)?.message.hasSuffix("must be longer than 0s") == true)
    }

    @Test(
        "a time so short that qq would spin is refused",
        arguments: [
            ("acquire x --ttl 1ns", "50ms"), ("keepalive x --renew-every 1ns", "10ms"), ("acquire x --renew-every 9ms -- a", "10ms"),
            ("acquire x --backoff 1ns..1ns", "1ms"), ("status --timeout 1ns", "1ms"), ("acquire x --hook-timeout 1us -- a", "1ms"),
        ])
    func tooShort(line: String, shortest: String) {
        #expect(problem(line)?.message.hasSuffix("must be at least \(shortest)") == true, "\(problem(line)?.message as Any)")
    }

    @Test("a malformed or extreme --speed is refused", arguments: ["0", "0.0000001", "0.00000000000000000000001", "1000001", "1e3"])
    func speed(text: String) {
        #expect(problem("watch --replay f --speed \(text)")?.message.hasSuffix("not a number from 0.000001 to 1000000") == true)
    }

    @Test("a TTL from a file is refused if it is too short") func ttlFromAFile() {
        #expect(throws: CoordinationError.self) { try LeaseTiming(ttl: .milliseconds(1), renewEvery: nil, killAfter: .zero) }
    }

    @Test(
        "--kill-after, --min-hold and --wait of step-down can be zero",
        arguments: ["acquire x --kill-after 0s -- a", "acquire x --min-hold 0s -- a", "step-down x --wait 0s"])
    func allowedZeroDuration(line: String) { #expect(problem(line) == nil) }

    @Test("exit codes are whole numbers from 0 to 255") func exitCodesAreBytes() throws {
        #expect(try invocation("acquire x -E0 -- a")[Flags.conflictExitCode] == 0)
        #expect(try invocation("acquire x -E 255 -- a")[Flags.conflictExitCode] == 255)
        for wrong in ["256", "-1", "+1", "1x", "99999999999999999999"] {
            #expect(problem("acquire x -E=\(wrong)")?.message == "-E '\(wrong)': not a whole number from 0 to 255")
        }
    }

    @Test("counts are whole numbers") func countsAreWhole() throws {
        #expect(try invocation("status --limit 3 --offset 0")[Flags.limit] == 3)
        #expect(problem("status --limit 0")?.message == "--limit '0': not a whole number of at least 1")
        #expect(problem("keepalive x --pid 0")?.message == "--pid '0': not a whole number of at least 1")
        #expect(try invocation("release x --id a --token 18446744073709551615")[Flags.token] == .max)
    }

    @Test("--backoff is a range of two durations") func backoffIsARange() throws {
        let parsed = try invocation("acquire x --backoff 200ms..5s")
        #expect(parsed[Flags.backoff] == BackoffRange(initial: .milliseconds(200), maximum: .seconds(5)))
        #expect(problem("acquire x --backoff 5s")?.message == "--backoff '5s': not a range INITIAL..MAX")
        #expect(problem("acquire x --backoff 5s..1s")?.message == "--backoff '5s..1s': the first pause is longer than the longest")
        #expect(problem("acquire x --backoff ..")?.message.hasPrefix("--backoff '..': not a duration") == true)
    }

    @Test("--backoff-factor is a number from 1 to 100") func backoffFactorIsFrom1To100() throws {
        #expect(try invocation("acquire x --backoff-factor 1.5")[Flags.backoffFactor] == 1.5)
        #expect(try invocation("acquire x --backoff-factor 100")[Flags.backoffFactor] == 100)
        for wrong in ["0.9", "101", "-1", "nan", "two"] {
            #expect(problem("acquire x --backoff-factor=\(wrong)")?.message == "--backoff-factor '\(wrong)': not a number from 1 to 100")
        }
    }

    @Test("--retry-on names failures") func retryOnNamesFailures() throws {
        #expect(try invocation("acquire x --retry-on timeout,no-leader")[Flags.retryOn] == ["timeout", "no-leader"])
        for wrong in ["", "timeout,", "time-out", "timeout no-leader"] {
            #expect(problem(["acquire", "x", "--retry-on=\(wrong)"])?.message.contains("is not one of not-leader") == true)
        }
    }

    @Test("--jitter is a number from 0 to 1") func jitterIsAFraction() throws {
        #expect(try invocation("acquire x --jitter 0.25")[Flags.jitter] == 0.25)
        #expect(try invocation("acquire x --jitter 1")[Flags.jitter] == 1)
        for wrong in ["1.1", "-0.1", "nan", "0x1p-1", "1e-1", "."] {
            #expect(problem("acquire x --jitter=\(wrong)")?.message == "--jitter '\(wrong)': not a number from 0 to 1")
        }
    }

    @Test("an identity has at most 256 bytes and no control characters") func identities() throws {
        #expect(try invocation(["status", "--id", String(repeating: "a", count: 256)])[Flags.id]?.utf8.count == 256)
        #expect(
            problem(["status", "--id", String(repeating: "a", count: 257)])?.message.hasSuffix("1 to 256 bytes, this one has 257") == true)
        #expect(problem(["status", "--id", "a\u{1b}[2J"])?.message == "--id 'a\\x1b[2J': an identity cannot contain control characters")
        #expect(try invocation(["status", "--id=-x"])[Flags.id] == "-x")
    }

    @Test("--until takes a word or a leader") func conditions() throws {
        let cases: [(String, WatchCondition)] = [
            ("led", .led), ("free", .free), ("mine", .mine), ("changed", .changed), ("leader=a=b", .leader("a=b")),
        ]
        for (text, condition) in cases { #expect(try invocation("watch x --until \(text)")[Flags.until] == condition) }
        #expect(problem("watch x --until ledd")?.hint == "did you mean led?")
        #expect(problem("watch x --until leader=")?.message.contains("1 to 256 bytes") == true)
    }

    @Test("the choices are named when a value is none of them") func choices() throws {
        #expect(try invocation("status --color never")[Flags.color] == .never)
        #expect(try invocation("acquire x --format shell")[Flags.format] == .shell)
        #expect(problem("status --color nevr") == UsageError("--color 'nevr': not one of auto, always, never", hint: "did you mean never?"))
    }

    @Test("several hooks of one kind are kept in order") func hooks() throws {
        let parsed = try invocation(["keepalive", "x", "--on-lost", "a b", "--on-elected=c", "--on-lost", "d"])
        #expect(parsed.all(Flags.onLost) == ["a b", "d"])
        #expect(parsed.all(Flags.onElected) == ["c"])
        #expect(parsed.all(Flags.onChange) == [])
    }

    @Test("a switch is true if it is given and false if not") func switches() throws {
        let parsed = try invocation("status -q --mine")
        #expect(parsed[Flags.quiet])
        #expect(parsed[Flags.mine])
        #expect(!parsed[Flags.json])
    }
}
