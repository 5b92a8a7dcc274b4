// The likeliest of some named answers, each with its share as a meter.

const SHOWN = 5;

/** The places of the likeliest, the likeliest first. */
export function best(shares) {
  return [...shares.keys()].sort((a, b) => shares[b] - shares[a]).slice(0, SHOWN);
}

/** Show the likeliest in a list element. */
export function showShares(list, names, shares) {
  list.replaceChildren(...(shares ? best(shares).map((at) => row(names[at], shares[at])) : []));
}

function row(name, share) {
  const item = document.createElement('li');
  const label = document.createElement('label');
  const meter = Object.assign(document.createElement('meter'), { min: 0, max: 1, value: share });
  const figure = Object.assign(document.createElement('span'), { className: 'value', textContent: percent(share) });
  label.append(`${name} `, meter, figure);
  item.append(label);
  return item;
}

export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
