// What a person notices about a page, for the tests to ask. Nothing here changes the page.
globalThis.checks = (() => {
	const looks = ["outlineStyle", "outlineWidth", "outlineColor", "outlineOffset", "boxShadow",
		"borderTopColor", "borderTopWidth", "backgroundColor", "color", "textDecorationLine"];
	const look = (element) => {
		const style = getComputedStyle(element);
		return looks.map((name) => style[name]).join(" ");
	};
	const describe = (element) => {
		const id = element.id ? "#" + element.id : "";
		const text = (element.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40);
		return element.localName + id + (text ? ` "${text}"` : "");
	};

	// [red, green, blue, alpha], each from 0 to 1, of a computed color in sRGB.
	const parse = (color) => {
		const parts = color.match(/-?[\d.]+(e-?\d+)?/g).map(Number);
		if (!color.startsWith("color(")) {
			parts.splice(0, 3, ...parts.slice(0, 3).map((part) => part / 255));
		}
		return parts.length < 4 ? [...parts, 1] : parts;
	};
	// WCAG 2.2, "relative luminance" and "contrast ratio".
	const luminance = (color) => {
		const [r, g, b] = color.map((part) =>
			part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const contrast = (one, other) => {
		const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
		return (high + 0.05) / (low + 0.05);
	};
	const behind = (element) => {
		for (let e = element.parentElement; e; e = e.parentElement) {
			const color = parse(getComputedStyle(e).backgroundColor);
			if (color[3] === 1) {
				return color;
			}
		}
		const scheme = getComputedStyle(document.documentElement).colorScheme;
		const dark = scheme.includes("dark") &&
			(!scheme.includes("light") || matchMedia("(prefers-color-scheme: dark)").matches);
		return dark ? [18 / 255, 18 / 255, 18 / 255, 1] : [1, 1, 1, 1];
	};

	// The places that Tab has to stop at, and how they look without focus.
	let stops = [];
	let before = new Map();
	const operable = "a[href], area[href], button, input, select, textarea, summary, iframe, " +
		"audio[controls], video[controls], [tabindex], [contenteditable]";

	const unseen = (element) => {
		const box = element.getClientRects()[0];
		if (!box || !box.width || !box.height) {
			return "has no size";
		}
		if (box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth) {
			return "is outside of the window";
		}
		const x = Math.min(Math.max(box.left + box.width / 2, 1), innerWidth - 1);
		const y = Math.min(Math.max(box.top + box.height / 2, 1), innerHeight - 1);
		const top = document.elementFromPoint(x, y);
		return top && (element.contains(top) || top.contains(element)) ? "" : "is covered";
	};
	const unmarked = (element) => {
		const style = getComputedStyle(element);
		if (before.has(element) && before.get(element) === look(element)) {
			return "looks as it does without focus";
		}
		if (style.outlineStyle === "none") {
			return before.has(element) ? "" : "has no outline";
		}
		if (style.outlineStyle === "auto") {
			return ""; // the browser's own ring
		}
		if (parseFloat(style.outlineWidth) < 2) {
			return "has an outline that is thinner than 2 px";
		}
		const ratio = contrast(parse(style.outlineColor), behind(element));
		return ratio >= 3 ? "" : `has an outline of contrast ${ratio.toFixed(2)}, below 3`;
	};

	return {
		// Descriptions of the stops, in the order of the document.
		stops() {
			stops = [...document.querySelectorAll(operable)].filter((element) =>
				element.tabIndex >= 0 && !element.disabled && element.type !== "hidden" &&
				element.checkVisibility({ visibilityProperty: true }));
			before = new Map(stops.filter((element) => element !== document.activeElement)
				.map((element) => [element, look(element)]));
			return stops.map(describe);
		},

		// Where the focus is. index counts the stops; -1 is the document itself, and -2 something
		// else, such as a box that scrolls.
		focus() {
			const element = document.activeElement;
			if (!element || element === document.body || element === document.documentElement) {
				return { index: -1, element: "document", fault: "" };
			}
			const index = stops.indexOf(element);
			return {
				index: index < 0 ? -2 : index,
				element: describe(element),
				fault: unseen(element) || unmarked(element),
			};
		},

		// What is wrong with the layout in a window that is so many pixels wide.
		layout(width) {
			const faults = [];
			const { scrollWidth } = document.documentElement;
			if (scrollWidth > width) {
				const wide = [...document.body.querySelectorAll("*")]
					.filter((element) => element.getBoundingClientRect().right > width + 1);
				faults.push(`the page is ${scrollWidth} px wide in a window of ${width}: ` +
					wide.slice(0, 5).map(describe).join(", "));
			}
			for (const element of document.querySelectorAll(operable)) {
				const { width, height } = element.getBoundingClientRect();
				const inline = getComputedStyle(element).display === "inline";
				if (!width || !height || inline) {
					continue; // hidden, or as high as the line of text that it is part of
				}
				const least = element.matches("button, input, select, textarea") ? 44 : 24;
				if (height < least || width < 24) {
					faults.push(`${describe(element)} is ${width} by ${height} px: hard to hit`);
				}
				if (element.tabIndex > 0) {
					faults.push(`${describe(element)} has a tabindex above 0`);
				}
			}
			return faults;
		},

		// What axe-core finds, and what it cannot decide.
		async axe() {
			const { violations, incomplete } = await axe.run(document, {
				runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
				resultTypes: ["violations", "incomplete"],
			});
			const list = (results) => results.flatMap((result) => result.nodes.map((node) =>
				`${result.id} (${result.impact}) at ${node.target}: ${result.help}; ` +
				[...node.any, ...node.all, ...node.none].map((check) => check.message).join("; ")));
			return { violations: list(violations), undecided: list(incomplete) };
		},
	};
})();
