// Draws an image and its boxes, and knows which box lies under the pointer.

// Neighbouring ids get colours far apart on the wheel (the golden angle), bright enough on any photograph.
export const colour = (classId, alpha = 1) => `hsl(${(classId * 137.508 + 210) % 360} 85% 55% / ${alpha})`;

const WIDE = 900; // canvas pixels that give lines and letters room

export function draw(canvas, picture, detections, lit) {
  const longest = Math.max(picture.width, picture.height);
  const scale = Math.max(1, Math.min(16, WIDE / longest)); // a small image is drawn larger
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale); // from here on in pixels of the image
  context.drawImage(picture, 0, 0);
  const unit = Math.max(longest / WIDE, 1 / scale); // one pixel of a canvas of that size
  context.lineJoin = "round";
  context.textBaseline = "bottom";
  context.font = `600 ${13 * unit}px system-ui, "DejaVu Sans", sans-serif`;
  // The surest ones are drawn last, on top.
  for (const detection of [...detections].reverse()) {
    const { x1, y1, x2, y2 } = detection.box;
    const bright = detection === lit;
    context.strokeStyle = colour(detection.class);
    context.lineWidth = (bright ? 4.5 : 2.2) * unit;
    if (bright) {
      context.fillStyle = colour(detection.class, 0.25);
      context.fillRect(x1, y1, x2 - x1, y2 - y1);
    }
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    label(context, `${detection.name} ${detection.confidence.toFixed(2)}`, detection, unit, picture);
  }
}

function label(context, text, detection, unit, picture) {
  const height = 17 * unit;
  const width = context.measureText(text).width + 8 * unit;
  const left = Math.max(0, Math.min(detection.box.x1, picture.width - width));
  const bottom = detection.box.y1 >= height ? detection.box.y1 : Math.min(detection.box.y1 + height, picture.height);
  context.fillStyle = colour(detection.class, 0.92);
  context.fillRect(left, bottom - height, width, height);
  context.fillStyle = "#0b0e14";
  context.fillText(text, left + 4 * unit, bottom - 2 * unit);
}

// The smallest box under a point of the image: what lies inside another one can be reached.
export function boxAt(detections, x, y) {
  const area = ({ box }) => (box.x2 - box.x1) * (box.y2 - box.y1);
  const under = detections.filter(({ box }) => x >= box.x1 && x <= box.x2 && y >= box.y1 && y <= box.y2);
  return under.sort((one, other) => area(one) - area(other))[0] || null;
}
