/* The page of live sessions refreshes by itself. Everything on it works without this file. */
"use strict";
{
    const HEADERS = { "X-Typed-Sessions-Refresh": "1" };
    const EVERY = 10_000;
    const AT_MOST = 300_000;
    const PATIENCE = 15_000;
    const STILL = 3_000;
    const PAUSED = "typed_sessions.paused";
    const RANGE = "typed_sessions.range";

    function remembered(key) {
        try {
            return sessionStorage.getItem(key);
        } catch {
            return null; // a browser that keeps nothing
        }
    }

    function remember(key, value) {
        try {
            sessionStorage.setItem(key, value);
        } catch {
            // It is forgotten with the page.
        }
    }

    /* The page at `url`. A redirect is not followed: it leads to the sign-in. */
    async function fetched(url, signal) {
        const response = await fetch(url, { headers: HEADERS, redirect: "manual", cache: "no-store", signal });
        const isRefused = response.type === "opaqueredirect" || response.status === 401 || response.status === 403;
        const text = isRefused ? "" : await response.text();
        return { isRefused, isGood: response.ok, page: new DOMParser().parseFromString(text, "text/html") };
    }

    /* What `to` contains becomes what `from` contains; what is as it was is left alone, so that nothing flickers. */
    function fill(to, from) {
        if (to && from && to.innerHTML !== from.innerHTML) {
            to.replaceChildren(...from.childNodes);
        }
    }

    /* ---- Counters and chart ---- */

    function partsOf(section) {
        return new Map(Array.from(section.querySelectorAll("[data-part]"), (part) => [part.dataset.part, part]));
    }

    function haveSameParts(one, other) {
        return Array.from(one.keys()).join() === Array.from(other.keys()).join();
    }

    function swap(section, fresh) {
        const [old, parts] = [partsOf(section), partsOf(fresh)];
        if (haveSameParts(old, parts)) {
            parts.forEach((part, name) => fill(old.get(name), part));
        } else {
            section.replaceChildren(...fresh.childNodes);
        }
        section.dataset.range = fresh.dataset.range;
        markRange(section);
    }

    function markRange(section) {
        section.querySelectorAll("a[data-range]").forEach((link) => {
            if (link.dataset.range === section.dataset.range) {
                link.setAttribute("aria-current", "true");
            } else {
                link.removeAttribute("aria-current");
            }
        });
    }

    class LivePart {
        constructor(section) {
            this.section = section;
            this.isPaused = remembered(PAUSED) === "yes";
            this.hasStopped = false;
            this.delay = EVERY;
            this.timer = 0;
            this.request = null;
            section.addEventListener("click", (event) => this.clicked(event));
            document.addEventListener("visibilitychange", () => this.changed());
            window.addEventListener("online", () => this.changed());
            window.addEventListener("pageshow", (event) => event.persisted && this.changed());
            this.showButton();
            const range = this.isPage ? null : remembered(RANGE);
            if (range && range !== section.dataset.range && this.rangeLink(range)) {
                this.choose(range);
            } else {
                this.plan();
            }
        }

        get isPage() {
            return "isPage" in this.section.dataset;
        }

        get url() {
            return `${this.section.dataset.typedSessionsLive}?range=${encodeURIComponent(this.section.dataset.range)}`;
        }

        rangeLink(range) {
            return this.section.querySelector(`a[data-range="${CSS.escape(range)}"]`);
        }

        clicked(event) {
            const link = event.target.closest("a[data-range]");
            if (event.target.closest("[data-pause]")) {
                this.isPaused = !this.isPaused;
                remember(PAUSED, this.isPaused ? "yes" : "no");
                this.showButton();
                this.changed();
            } else if (link && !this.hasStopped && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)) {
                event.preventDefault();
                remember(RANGE, link.dataset.range);
                this.choose(link.dataset.range);
            }
        }

        choose(range) {
            this.section.dataset.range = range;
            markRange(this.section);
            this.refresh();
        }

        showButton() {
            const button = this.section.querySelector("[data-pause]");
            button.textContent = this.isPaused ? button.dataset.resume : button.dataset.pause;
            button.hidden = false;
        }

        changed() {
            clearTimeout(this.timer);
            if (!(this.isPaused || this.hasStopped || document.hidden)) {
                this.refresh();
            }
        }

        plan() {
            clearTimeout(this.timer);
            if (!(this.isPaused || this.hasStopped || document.hidden)) {
                this.timer = setTimeout(() => this.refresh(), this.delay);
            }
        }

        async refresh() {
            clearTimeout(this.timer);
            this.request?.abort();
            const request = new AbortController();
            this.request = request;
            const patience = setTimeout(() => request.abort(), PATIENCE);
            try {
                await this.ask(request.signal);
            } catch {
                if (this.request === request) {
                    this.failed("");
                }
            }
            clearTimeout(patience);
            if (this.request === request) {
                this.plan();
            }
        }

        async ask(signal) {
            const answer = await fetched(this.url, signal);
            const fresh = answer.page.querySelector("[data-typed-sessions-live]");
            if (answer.isRefused) {
                this.stop();
            } else if (!answer.isGood) {
                this.failed(fresh?.querySelector("[data-part=problem]")?.textContent ?? "");
            } else if (fresh) {
                swap(this.section, fresh);
                this.showButton();
                this.delay = EVERY;
                this.say("");
                if (!this.isPage && !(await refreshList(signal))) {
                    this.failed("");
                }
            }
        }

        failed(problem) {
            const [status, at] = ["[data-status]", "[data-part=at]"].map((part) => this.section.querySelector(part));
            const stale = status.dataset.stale.replace("{time}", at.textContent.trim());
            this.delay = Math.min(2 * this.delay, AT_MOST);
            const isSaid = this.section.querySelector("[data-part=problem]") !== null;
            this.say([isSaid ? "" : problem, stale].filter(Boolean).join(" "));
        }

        stop() {
            const status = this.section.querySelector("[data-status]");
            const link = document.createElement("a");
            this.hasStopped = true;
            link.href = location.href;
            link.textContent = status.dataset.signIn;
            this.say(`${status.dataset.refused} `);
            status.append(link);
            this.section.querySelector("[data-pause]").hidden = true;
        }

        /* Only what is new, since it is read out. */
        say(text) {
            const status = this.section.querySelector("[data-status]");
            this.section.classList.toggle("tys-stale", text !== "");
            if (status.textContent !== text) {
                status.textContent = text;
            }
        }
    }

    /* ---- The list ---- */

    let movedAt = -STILL;

    /* Whether nobody is about to do something with what would be replaced. */
    function isFree(form) {
        const selection = document.getSelection();
        const hasSelected = !selection.isCollapsed && selection.containsNode(form, true);
        const hasTicked = form.querySelector("input[type=checkbox]:checked") !== null;
        const isPointedAt = performance.now() - movedAt < STILL;
        const isReadByKeyboard = form.querySelector(":focus-visible") !== null;
        return !(hasTicked || hasSelected || isPointedAt || isReadByKeyboard);
    }

    /* Whether all went well. */
    async function refreshList(signal) {
        const form = document.getElementById("changelist-form");
        if (!form || !isFree(form)) {
            return true;
        }
        const answer = await fetched(location.href, signal);
        const fresh = answer.page.getElementById("changelist-form");
        if (answer.isGood && fresh && isFree(form)) {
            swapList(form, fresh, answer.page);
        }
        return answer.isGood || answer.isRefused;
    }

    function shape(form) {
        return ["#result_list", ".actions", ".actions .question"].map((part) => form.querySelector(part) !== null).join();
    }

    function swapList(form, fresh, page) {
        const clicked = form.contains(document.activeElement) ? document.activeElement : null;
        if (shape(form) === shape(fresh)) {
            const [table, freshTable] = [form, fresh].map((one) => one.querySelector("#result_list"));
            const [counter, freshCounter] = [form, fresh].map((one) => one.querySelector(".action-counter"));
            [".actions .all", ".actions .question a", ".action-counter"].forEach((part) => {
                fill(form.querySelector(part), fresh.querySelector(part));
            });
            if (counter) {
                counter.dataset.actionsIcnt = freshCounter.dataset.actionsIcnt;
            }
            if (table && table.innerHTML !== freshTable.innerHTML) {
                table.replaceWith(freshTable);
                listenToActions();
            }
        } else {
            form.replaceChildren(...fresh.childNodes);
            listenToActions();
        }
        for (const part of [".paginator", ".dataTables_info", ".pagination", "#changelist-search .quiet"]) {
            const old = document.querySelector(part);
            if (!old?.contains(document.activeElement)) { // who is about to turn the page
                fill(old, page.querySelector(part));
            }
        }
        if (clicked && !clicked.isConnected && clicked.value) {
            form.querySelector(`input[value="${CSS.escape(clicked.value)}"]`)?.focus({ preventScroll: true });
        }
    }

    /* ---- The boxes of the list: Django's actions.js knows those alone that were there when the page was loaded ---- */

    const actions = window.Actions;
    let listening = new AbortController();

    /* Calls `run`, whose listeners all go away with `signal`. */
    function listenUntil(signal, run) {
        const original = EventTarget.prototype.addEventListener;
        EventTarget.prototype.addEventListener = function (type, listener, options) {
            const more = typeof options === "object" ? options : { capture: Boolean(options) };
            original.call(this, type, listener, { ...more, signal });
        };
        try {
            run();
        } finally {
            EventTarget.prototype.addEventListener = original;
        }
    }

    if (actions) {
        window.Actions = function (...given) {
            listening.abort();
            listening = new AbortController();
            listenUntil(listening.signal, () => actions(...given));
        };
    }

    function listenToActions() {
        const boxes = document.querySelectorAll("tr input.action-select");
        if (boxes.length > 0 && window.Actions) {
            window.Actions(boxes, { parent: document.querySelector(".result-list-wrapper") ?? document });
        }
    }

    /* ---- A task that goes on from page to page ---- */

    function carryOn(form) {
        const [go, stop] = ["[type=submit]", "[data-typed-sessions-stop]"].map((part) => form.querySelector(part));
        const timer = setTimeout(() => form.requestSubmit(), 300);
        function halt() {
            clearTimeout(timer);
            window.stop(); // what the server has begun, it ends
            stop.hidden = true;
            go.hidden = false;
            go.focus();
        }
        go.hidden = true;
        stop.hidden = false;
        stop.focus();
        stop.addEventListener("click", halt);
        window.addEventListener("pageshow", (event) => event.persisted && halt());
    }

    function begin() {
        document.querySelectorAll("form[data-typed-sessions-continue]").forEach(carryOn);
        document.querySelectorAll("[data-typed-sessions-live]").forEach((section) => {
            const form = document.getElementById("changelist-form");
            form?.addEventListener("pointermove", () => (movedAt = performance.now()));
            new LivePart(section);
        });
    }

    if (document.readyState === "loading") {
        document.addEventListener("DOMContentLoaded", begin);
    } else {
        begin();
    }
}
