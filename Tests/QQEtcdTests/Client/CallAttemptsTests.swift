import QQCore
import Testing

@testable import QQEtcd

@Suite("Tries at the members of etcd") struct CallAttemptsTests {
    private func failure(_ meaning: EtcdFailure.Meaning, wasSent: Bool = true) -> EtcdFailure {
        EtcdFailure(meaning, "because", at: "h:1", wasSent: wasSent)
    }

    @Test("members that refuse are each asked once") func refused() {
        var attempts = CallAttempts(first: 1, count: 3, isChange: true)
        let refused = failure(.unavailable, wasSent: false)
        #expect(attempts.failed(refused, canLogIn: false, wasLate: false) == .ask(2, after: .zero))
        #expect(attempts.failed(refused, canLogIn: false, wasLate: false) == .ask(0, after: .zero))
        #expect(attempts.failed(refused, canLogIn: false, wasLate: false) == .giveUp(refused))
    }

    @Test("members that hang are asked again, each time for longer") func hanging() {
        var attempts = CallAttempts(first: 0, count: 2, isChange: true)
        let late = failure(.unavailable, wasSent: false)
        #expect(attempts.patience == 1)
        for index in 1...20 { #expect(attempts.failed(late, canLogIn: false, wasLate: true) == .ask(index % 2, after: .zero)) }
        #expect(attempts.patience == 8)
    }

    @Test("a change without an answer is repeated elsewhere, and stays uncertain whatever is answered later") func uncertain() {
        var attempts = CallAttempts(first: 0, count: 2, isChange: true)
        #expect(attempts.failed(failure(.mayHaveBeenApplied), canLogIn: false, wasLate: true) == .ask(1, after: .zero))
        guard case .giveUp(let last) = attempts.failed(failure(.noSpace), canLogIn: false, wasLate: false) else {
            Issue.record("noSpace is final")
            return
        }
        #expect(last.meaning == .mayHaveBeenApplied && last.wasSent && last.reason == "because")
        #expect(attempts.final(failure(.leaseGone)).meaning == .leaseGone, "nothing of it is left then")
    }

    @Test("an uncertain change is uncertain even if no member can be reached afterwards") func cut() {
        var attempts = CallAttempts(first: 0, count: 2, isChange: true)
        _ = attempts.failed(failure(.mayHaveBeenApplied), canLogIn: false, wasLate: false)
        let refused = failure(.unavailable, wasSent: false)
        _ = attempts.failed(refused, canLogIn: false, wasLate: false)
        guard case .giveUp(let last) = attempts.failed(refused, canLogIn: false, wasLate: false) else {
            Issue.record("all members refuse")
            return
        }
        #expect(last.meaning == .mayHaveBeenApplied && last.wasSent)
    }

    @Test("a read without an answer is not uncertain") func read() {
        var attempts = CallAttempts(first: 0, count: 1, isChange: false)
        #expect(attempts.failed(failure(.mayHaveBeenApplied), canLogIn: false, wasLate: true) == .ask(0, after: CallAttempts.pause))
        #expect(!attempts.isUncertain && attempts.final(failure(.mayHaveBeenApplied)).meaning == .unavailable)
    }

    @Test("without a leader the others are asked at once, and all again after a pause") func noLeader() {
        var attempts = CallAttempts(first: 0, count: 2, isChange: true)
        #expect(attempts.failed(failure(.noLeader), canLogIn: false, wasLate: false) == .ask(1, after: .zero))
        #expect(attempts.failed(failure(.noLeader), canLogIn: false, wasLate: false) == .ask(0, after: CallAttempts.pause))
    }

    @Test("the login is renewed once, and then the call is denied") func login() {
        var attempts = CallAttempts(first: 0, count: 3, isChange: true)
        #expect(attempts.failed(failure(.authTokenInvalid), canLogIn: true, wasLate: false) == .logIn)
        guard case .giveUp(let last) = attempts.failed(failure(.authTokenInvalid), canLogIn: true, wasLate: false) else {
            Issue.record("a fresh login was refused")
            return
        }
        #expect(last.meaning == .denied)
        var anonymous = CallAttempts(first: 0, count: 3, isChange: true)
        guard case .giveUp(let denied) = anonymous.failed(failure(.authTokenInvalid), canLogIn: false, wasLate: false) else {
            Issue.record("there is nobody to log in as")
            return
        }
        #expect(denied.meaning == .denied)
    }

    @Test(
        "some answers are final",
        arguments: [.leaseGone, .leaseExists, .noSpace, .compacted, .denied, .ours, .unsupported, .configuration, .cancelled]
            as [EtcdFailure.Meaning]) func final(_ meaning: EtcdFailure.Meaning)
    {
        var attempts = CallAttempts(first: 0, count: 3, isChange: true)
        #expect(attempts.failed(failure(meaning), canLogIn: true, wasLate: false) == .giveUp(failure(meaning)))
    }

    @Test("an answer that is too large ends the call; what it answers might have been carried out") func tooLarge() {
        for isChange in [true, false] {
            var attempts = CallAttempts(first: 0, count: 2, isChange: isChange)
            guard case .giveUp(let last) = attempts.failed(failure(.tooLarge), canLogIn: false, wasLate: false) else {
                return #expect(Bool(false), "it is not repeated")
            }
            #expect(last.meaning == (isChange ? .mayHaveBeenApplied : .tooLarge))
        }
    }
}

@Suite("The login to etcd") struct LoginTests {
    @Test("a refusal of an older token does not end the present login") func generations() {
        var login = LoginState()
        #expect(login.isNeeded && login.token == nil)
        login.loggedIn("first")
        let old = login.generation
        login.refused(old)
        #expect(login.isNeeded)
        login.loggedIn("second")
        login.refused(old)
        #expect(!login.isNeeded && login.token == "second")
    }

    @Test("without authentication there is no token, until a call is refused for that") func notNeeded() {
        var login = LoginState()
        login.isNotEnabled()
        #expect(!login.isNeeded && login.token == nil)
        login.refused(login.generation)
        #expect(login.isNeeded)
    }

    @Test("dumps show neither password nor token") func secrets() {
        var login = LoginState()
        login.loggedIn("t0ken")
        var text = ""
        dump(login, to: &text)
        dump(EtcdLogin(user: "ann", password: "s3cret"), to: &text)
        dump(EtcdOptions([], login: EtcdLogin(user: "ann", password: "s3cret")), to: &text)
        text +=
            "\(login) \(EtcdLogin(user: "ann", password: "s3cret")) \(EtcdOptions([], login: EtcdLogin(user: "ann", password: "s3cret")))"
        #expect(!text.contains("t0ken") && !text.contains("s3cret") && text.contains("ann"), "\(text)")
    }
}
